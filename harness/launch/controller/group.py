"""One group in one launch: each case is checked alone, then all take turns, round by round, in random order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.core.flag import Flag
from harness.core.metric import PRIMARY
from harness.core.trial import ERROR, OK, Sample, Status, Trial, format_utc_now
from harness.detect import count_usable_cpus, read_available_memory
from harness.launch.protocol import WorkerSpec
from harness.probes.energy import explain_no_energy
from harness.sampler import is_precise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.core.case import Group, PlannedCase
    from harness.core.suite import Policy
    from harness.launch.controller.idle_power import Energy
    from harness.launch.controller.launcher import Launcher, WorkerHandle

    # A case that takes part, and the number of its side.
    Entrant = tuple[int, PlannedCase]

# A round is the unit of pairing. With this many, a quarter of them may be disturbed and the launch's median and its
# interval hold; longer and fewer rounds would take the same time and hold less.
_ROUNDS = 20
# Rounds over all launches that even a case beyond its budget takes.
_LEAST_ROUNDS = 5
_TURN_S = 0.05
# Share of a launch's budget that warm-up may take.
_WARM_UP = 0.2
# A worker may not take the last of the memory: what ends then could be any process.
_MEMORY_SHARE = 0.9
_LEAST_MEMORY = 1 << 30
# Times that cases are tried again after a fork server has died and none of them was to blame.
_SPARE_TRIES = 2


@dataclass
class Turns:
    """What the cases of one launch share.

    Attributes:
        launchers: one for each side.
        folder: where reference files are left.
        energy: the meter, as far as it is known.
        report: told what is being done to which case, and the share of its budget that the case has used.
    """

    launchers: Sequence[Launcher]
    launch: int
    policy: Policy
    folder: Path
    energy: Energy
    report: Callable[[str, str, float], None]

    @property
    def budget_s(self) -> float:
        """The measuring time of a case in this launch."""
        return self.policy.budget_s / self.policy.launches

    @property
    def deaths(self) -> int:
        """How many fork servers have died in this launch."""
        return sum(launcher.deaths for launcher in self.launchers)


@dataclass
class Contender:
    """A case that takes part: its side, its worker, its trial, and what it has used of its budget."""

    side: int
    planned: PlannedCase
    trial: Trial
    worker: WorkerHandle
    flags: tuple[Flag, ...]
    spent_s: float = 0.0
    rounds: int = 0
    times: list[float] = field(default_factory=list)


def run_group(turns: Turns, group: Group, entrants: Sequence[Entrant]) -> Iterator[tuple[int, Trial]]:
    """Run cases of a group in one launch: side by side where they fit the memory, and one by one where not.

    The sides of one case always take turns. Yields each trial as it ends, with the number of its side: a case that
    fails at once does not wait for the others.
    """
    if group.interleaved:
        yield from _run_together(turns, group, entrants)
        return
    for case in dict.fromkeys(planned.case for _, planned in entrants):
        yield from _run_together(turns, group, [one for one in entrants if one[1].case == case])


def _run_together(turns: Turns, group: Group, entrants: Sequence[Entrant]) -> Iterator[tuple[int, Trial]]:
    """Run cases side by side; again, without the one at fault, if a fork server died and took their workers along."""
    left = list(entrants)
    for _ in range(len(entrants) + _SPARE_TRIES):
        for side, trial in _try_together(turns, group, list(left)):
            left = [one for one in left if (one[0], one[1].case) != (side, trial.case)]
            yield side, trial
        if not left:
            return
    raise HarnessError(f"fork servers die before {left[0][1].case.id} can be measured, and no case is to blame")


def _try_together(turns: Turns, group: Group, entrants: Sequence[Entrant]) -> Iterator[tuple[int, Trial]]:
    """Run cases side by side; once a fork server has died, yield none but those that failed."""
    faults = {side: _compute_reference(turns, side, first) for side, first in dict(reversed(entrants)).items()}
    contenders: list[Contender] = []
    deaths = turns.deaths
    try:
        for side, planned in entrants:
            if fault := faults[side]:
                yield side, _trial(turns, planned, *fault)
                continue
            one = _enter(turns, group, side, planned, entrants)
            contenders.append(one)
            if _has_failed(one):
                yield side, _settled(one)
            if turns.deaths > deaths:
                return
        ready = [one for one in contenders if one.worker.alive]
        _take_turns(turns, group, ready)
        for one in ready:
            if turns.deaths == deaths:
                _leave(turns, one)
            if turns.deaths == deaths or _has_failed(one):
                yield one.side, _settled(one)
    finally:
        for one in contenders:
            one.worker.kill()


def _has_failed(one: Contender) -> bool:
    return one.trial.status != OK or one.worker.status != OK


def _compute_reference(turns: Turns, side: int, planned: PlannedCase) -> tuple[Status, str] | None:
    """Leave the right answers of a group in files, unless an earlier launch did; return the status of a failure."""
    path = _reference_path(turns, side, planned)
    if path.with_name(path.name + ".1").exists():
        return None
    turns.report(planned.case.group, "reference", 0.0)
    worker = _start(turns, side, replace(planned, world_size=1), others=0)
    worker.ask("prepare")
    fault = None if worker.alive else (worker.status, worker.message)
    if not fault:
        worker.ask("reference")
        fault = None if worker.alive else (ERROR, f"no reference to check against: {worker.message}")
    worker.kill()
    return fault


def _enter(turns: Turns, group: Group, side: int, planned: PlannedCase, entrants: Sequence[Entrant]) -> Contender:
    """Check a case, measure its memory, and bring it to speed, alone; it then waits, stopped."""
    trial = _trial(turns, planned)
    others = sum(other.memory or 0 for _, other in entrants) - (planned.memory or 0)
    worker = _start(turns, side, planned, others)
    one = Contender(side, planned, trial, worker, () if group.interleaved else (Flag.NOT_INTERLEAVED,))
    _ask(turns, one, "prepare")
    _ask(turns, one, "check")
    if worker.alive and turns.launch == 0:
        _observe(turns, one, others)
    _ask(turns, one, "warm_up", limit_s=turns.budget_s * _WARM_UP)
    one.flags += () if worker.steady else (Flag.NOT_STEADY,)
    one.flags += (Flag.CONTENDED_RANKS,) if _contended(turns, planned) else ()
    return one


def _observe(turns: Turns, one: Contender, others: int) -> None:
    """Measure memory in a cold worker of its own, then see what a step runs; its fault is the case's fault."""
    worker = _start(turns, one.side, one.planned, others)
    turns.report(_name(turns, one), "memory", 0.0)
    for order in ("prepare", "memory", "executed", "examine"):
        if worker.alive:
            one.trial.samples += worker.ask(order)
    if not worker.alive:
        one.trial.log = worker.log_tail()
        one.trial.status, one.trial.message = worker.status, worker.message
        one.worker.kill()
    one.trial.executed = ",".join(worker.executed)
    one.flags += worker.flags
    worker.kill()


def _take_turns(turns: Turns, group: Group, contenders: Sequence[Contender]) -> None:
    """Give each case one turn a round, in an order drawn afresh, until each is precise or out of budget."""
    order = random.Random(f"{turns.policy.seed}/{turns.launch}/{group.id}")
    running, deaths = list(contenders), turns.deaths
    while running and turns.deaths == deaths:
        order.shuffle(running)
        for one in running:
            before_s = one.worker.active_s
            samples = _ask(turns, one, "turn", round=one.rounds, slice_s=_TURN_S)
            one.spent_s += one.worker.active_s - before_s
            one.times += [sample.value for sample in samples if sample.metric == PRIMARY]
            one.rounds += 1
        running = [one for one in running if one.worker.alive and not _is_done(turns, one)]


def _is_done(turns: Turns, one: Contender) -> bool:
    if one.spent_s >= turns.budget_s:
        return one.rounds * turns.policy.launches >= _LEAST_ROUNDS
    return one.rounds >= _ROUNDS and is_precise(one.times, turns.policy.precision)


def _leave(turns: Turns, one: Contender) -> None:
    """Measure the energy of the case, check it once more, and let its worker end in order."""
    if turns.energy.unavailable:
        one.trial.samples.append(explain_no_energy(turns.energy.unavailable))
    else:
        _ask(turns, one, "energy", **turns.energy.order)
    _ask(turns, one, "recheck")
    one.flags += one.worker.flags
    one.worker.finish()


def _ask(turns: Turns, one: Contender, order: str, **arguments: Any) -> list[Sample]:
    if not one.worker.alive:
        return []
    turns.report(_name(turns, one), order, min(1.0, one.spent_s / turns.budget_s))
    samples = one.worker.ask(order, **arguments)
    one.trial.samples += samples
    return samples


def _start(turns: Turns, side: int, planned: PlannedCase, others: int) -> WorkerHandle:
    case, policy = planned.case, turns.policy
    spec = WorkerSpec(
        case.workload,
        case.implementation,
        case.params,
        device=policy.device,
        mode=policy.mode,
        threads=_threads(turns, planned),
        seed=policy.seed,
        reference=str(_reference_path(turns, side, planned)),
        world_size=planned.world_size,
    )
    limit = max(int(_MEMORY_SHARE * read_available_memory()) - others, planned.memory or 0, _LEAST_MEMORY)
    # On CUDA the driver maps address space by the terabyte, which a limit would refuse.
    return turns.launchers[side].fork(spec, limit if policy.device == "cpu" else 0, policy.timeout_s)


def _threads(turns: Turns, planned: PlannedCase) -> int:
    return turns.policy.threads_of(planned.world_size)


def _contended(turns: Turns, planned: PlannedCase) -> bool:
    """Whether ranks wait for each other's cores, so that their time does not say how the case scales."""
    on_cores = turns.policy.device == "cpu" and planned.world_size > 1
    return on_cores and turns.policy.on_a_host(planned.world_size) * _threads(turns, planned) > count_usable_cpus()


def _reference_path(turns: Turns, side: int, planned: PlannedCase) -> Path:
    return turns.folder / f"reference-{side}-{abs(hash(planned.case.group))}"


def _name(turns: Turns, one: Contender) -> str:
    """Return the case's name, with its side where there are two."""
    return f"{one.planned.case.id} {turns.launchers[one.side].side.label}".strip()


def _trial(turns: Turns, planned: PlannedCase, status: Status = OK, message: str = "") -> Trial:
    return Trial(planned.case, turns.launch, status, message, format_utc_now())


def _settled(one: Contender) -> Trial:
    """Complete the trial from what its worker came to."""
    trial = one.trial
    if trial.status == OK:
        trial.status, trial.message = one.worker.status, one.worker.message
        trial.log = one.worker.log_tail()
    trial.duration_s = round(one.worker.active_s, 6)
    trial.samples = [_flagged(sample, one.flags) if sample.round >= 0 else sample for sample in trial.samples]
    return trial


def _flagged(sample: Sample, flags: tuple[Flag, ...]) -> Sample:
    return replace(sample, flags=",".join(filter(None, (sample.flags, *flags))))
