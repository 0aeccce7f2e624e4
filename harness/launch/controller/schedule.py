"""A run: launch after launch, group after group; each trial is handed over as soon as it ends."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.case import count_launches
from harness.core.trial import OK, SKIPPED, Launch, Rest, Trial, format_utc_now
from harness.launch.controller.fork_server import ForkServer
from harness.launch.controller.group import Turns, run_group
from harness.launch.controller.hosts import ALONE, Hosts
from harness.launch.controller.idle_power import Energy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Sequence

    from harness.core.case import Group, PlannedCase
    from harness.launch.code_version import CodeVersion
    from harness.launch.controller.group import Entrant
    from harness.launch.controller.launcher import OpenLauncher
    from harness.plan import Plan


@dataclass(frozen=True)
class Progress:
    """What is being done, to which case, in which launch of how many, and the share of the whole run behind it."""

    case: str
    doing: str
    launch: int
    launches: int
    share: float


def measure_plan(
    plan: Plan,
    sides: Sequence[CodeVersion],
    finished: Sequence[Collection[Trial]],
    report: Callable[[Progress], None],
    hosts: Hosts = ALONE,
    open_launcher: OpenLauncher = ForkServer,
) -> Generator[tuple[int, Launch | Rest | Trial]]:
    """Measure a plan, and yield launches and trials, and the power at rest, each with the number of its side.

    All sides take turns in the same rounds. A case that fails in one launch is not tried in the next.

    Args:
        plan: the groups, and the policy under which they are measured.
        sides: the versions of the code under test; most often one.
        finished: trials that each side has already; they are not repeated.
        report: told of progress, between turns and never during one.
        hosts: that ranks are divided among.
        open_launcher: opens what starts the workers of one side in one launch.

    Raises:
        HarnessError: a launcher does not start or does not answer.
    """
    done = {(side, trial.case, trial.launch) for side, trials in enumerate(finished) for trial in trials}
    out = {(side, trial.case) for side, trials in enumerate(finished) for trial in trials if trial.status != OK}
    yield from _skipped(plan.groups, sides, out)
    launches = count_launches(plan.groups, plan.policy.launches)
    energy = Energy(plan.policy)
    yield from _rested(energy, sides)
    with tempfile.TemporaryDirectory(prefix="benchwright-") as name:
        folder = Path(name)
        for index in range(launches):
            missing = partial(_missing, index, plan.policy.launches, done, out)
            todo = [[one for one in _entrants([group], sides) if missing(*one)] for group in plan.groups]
            if not any(todo):
                continue
            hosts.begin_launch(plan.policy.threads)
            with contextlib.ExitStack() as stack:
                opened = (open_launcher(plan.policy.threads, folder, side, hosts) for side in sides)
                launchers = [stack.enter_context(one) for one in opened]
                yield from ((side, Launch(index, format_utc_now(), one.runtime)) for side, one in enumerate(launchers))
                for position, (group, entrants) in enumerate(zip(plan.groups, todo, strict=True)):
                    tell = _teller(report, index, launches, index + position / len(todo), 1 / len(todo), len(entrants))
                    turns = Turns(launchers, index, plan.policy, folder, energy, tell)
                    for side, trial in run_group(turns, group, entrants):
                        if trial.status != OK:
                            out.add((side, trial.case))
                        yield side, trial
    if not energy.unavailable:
        yield from _rested(energy, sides, cooled=True)


def _skipped(
    groups: Sequence[Group], sides: Sequence[CodeVersion], out: Collection[object]
) -> Iterator[tuple[int, Trial]]:
    """Return a trial of each case that the plan skips, but for those that have one already."""
    for side, planned in _entrants(groups, sides):
        if planned.skip and (side, planned.case) not in out:
            yield side, Trial(planned.case, 0, SKIPPED, planned.skip, format_utc_now())


def _missing(
    launch: int, launches: int, done: Collection[object], out: Collection[object], side: int, planned: PlannedCase
) -> bool:
    """Return whether a launch still has to run a case."""
    wanted = not planned.skip and launch < (planned.launches or launches)
    return wanted and (side, planned.case, launch) not in done and (side, planned.case) not in out


def _rested(energy: Energy, sides: Sequence[CodeVersion], *, cooled: bool = False) -> Iterator[tuple[int, Rest]]:
    """Measure the power at rest, which is that of all sides."""
    if rest := energy.rest(cooled=cooled):
        yield from ((side, rest) for side in range(len(sides)))


def _entrants(groups: Sequence[Group], sides: Sequence[CodeVersion]) -> list[Entrant]:
    return [(side, planned) for group in groups for planned in group.cases for side in range(len(sides))]


def _teller(
    report: Callable[[Progress], None], launch: int, launches: int, before: float, part: float, entrants: int
) -> Callable[[str, str, float], None]:
    """Return a reporter for one group, which adds what its cases have used to what is behind the run.

    ``before`` and ``part`` are what is behind the run and what the group makes of it, in launches.
    """
    used: dict[str, float] = {}

    def tell(case: str, doing: str, share: float) -> None:
        used[case] = share
        done = before + part * min(1.0, sum(used.values()) / entrants)
        report(Progress(case, doing, launch, launches, done / launches))

    return tell
