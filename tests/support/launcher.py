"""Launches without processes: workers do as they are scripted, and time passes only as a script says."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from harness.core.flag import Flag
from harness.core.suite import Mode
from harness.core.trial import OK, Sample, Status
from harness.launch.code_version import CodeVersion
from harness.launch.controller.hosts import Hosts
from harness.launch.controller.launcher import Launcher, WorkerHandle
from harness.launch.protocol import WorkerSpec

FIRST_CALL_S, PEAK_B, ENERGY_J = 0.1, 1e6, 0.3
# What a worker answers to an order, if its script has nothing else.
_ANSWERS: Mapping[str, Sequence[Sample]] = {
    "check": (Sample("first_call", FIRST_CALL_S), Sample("max_abs_error", 0.0)),
    "memory": (Sample("peak_memory", PEAK_B),),
    "energy": (Sample("energy_gross", ENERGY_J, 0, uncertainty=ENERGY_J / 50, provenance="measured: scripted"),),
}


@dataclass(frozen=True)
class End:
    """Where a worker ends, and how.

    Attributes:
        order: the order that it does not survive.
        how: its status and message, ``"crashed: died of SIGSEGV"``; or what is raised in the command itself.
        launch: the only launch in which it ends; None for every one.
        round: the round in which it ends, for an order that is given in each.
    """

    order: str
    how: str | BaseException
    launch: int | None = None
    round: int = 0


@dataclass(frozen=True)
class Script:
    """What the workers of a case do.

    Attributes:
        times: of a step, in seconds, round after round and over again; equal ones are precise after the least rounds.
        turn_s: what a turn takes.
        end: where its workers end before their time.
        samples: what they answer to an order in place of the usual.
        steady: whether times had settled when warming up ended.
        executed: what a step runs.
        flags: warnings about all samples, by the order that finds them.
        log: what they write.
    """

    times: Sequence[float] = (1e-3,)
    turn_s: float = 0.05
    end: End | None = None
    samples: Mapping[str, Sequence[Sample]] = field(default_factory=dict)
    steady: bool = True
    executed: tuple[str, ...] = ()
    flags: Mapping[str, tuple[Flag, ...]] = field(default_factory=dict)
    log: str = ""


def noisy(seconds: float, seed: int = 0) -> list[float]:
    """Return times of a machine without faults: 0.2 % from one round to the next, and hardly more between launches."""
    source = random.Random(seed)
    return [seconds * source.gauss(1, 0.002) for _ in range(97)]


def calibration(implementation: str, folder: Path, **params: float) -> WorkerSpec:
    """Return what a worker of an implementation of ``calibration`` is told; its reference files are in a folder."""
    point = {"duration": 1e-3, "bytes": 1 << 20, "percent": 0.02, **params}
    reference = str(folder / "reference")
    return WorkerSpec("calibration", implementation, point, "cpu", Mode.HOST, threads=1, seed=0, reference=reference)


class Order(NamedTuple):
    """An order that was given: in which launch and on which side, to the worker of which implementation."""

    launch: int
    side: str
    implementation: str
    name: str
    arguments: dict[str, Any]


class FakeLaunches:
    """Opens launchers, in place of the fork server, and keeps what they were told.

    Args:
        scripts: by implementation, or by implementation and side (``"waits new"``), which comes first; or a function of
            what a worker is told and its side. An implementation without a script has the plain one.

    Attributes:
        opened: every launcher, in order.
        workers: every worker, in order.
        orders: every order, in order.
    """

    def __init__(
        self, scripts: Mapping[str, Script] | Callable[[WorkerSpec, CodeVersion], Script] | None = None
    ) -> None:
        self._scripts = scripts or {}
        self.opened: list[FakeLauncher] = []
        self.workers: list[FakeWorker] = []
        self.orders: list[Order] = []

    def __call__(self, threads: int, folder: Path, side: CodeVersion, hosts: Hosts) -> Launcher:
        """Open a launcher of a side."""
        launch = sum(one.side == side for one in self.opened)
        self.opened.append(FakeLauncher(self, launch, threads, side))
        return self.opened[-1]

    def script(self, spec: WorkerSpec, side: CodeVersion) -> Script:
        """Return what a worker is to do."""
        if callable(self._scripts):
            return self._scripts(spec, side)
        names = (f"{spec.implementation} {side.label}", spec.implementation)
        return next((self._scripts[name] for name in names if name in self._scripts), Script())

    def given(self, *names: str) -> list[tuple[str, str]]:
        """Return to whom orders of such names were given: implementation (and side) and order, in order."""
        return [
            (f"{one.implementation} {one.side}".strip(), one.name)
            for one in self.orders
            if not names or one.name in names
        ]

    @property
    def left(self) -> list[FakeWorker]:
        """The workers that nobody has ended, and that have not ended by themselves."""
        return [worker for worker in self.workers if not worker.ended]


class FakeLauncher:
    """One launch of a side."""

    def __init__(self, launches: FakeLaunches, launch: int, threads: int, side: CodeVersion) -> None:
        self.launch, self.threads, self.side = launch, threads, side
        self.runtime = {"torch_threads": threads}
        self.open = False
        self.deaths = 0
        self._launches = launches

    def __enter__(self) -> Self:
        self.open = True
        return self

    def __exit__(self, *error: object) -> None:
        self.open = False

    def fork(self, spec: WorkerSpec, memory_limit: int, timeout_s: float) -> WorkerHandle:
        """Start a worker that waits for its first order."""
        assert self.open
        worker = FakeWorker(self._launches, self, spec, memory_limit, timeout_s)
        self._launches.workers.append(worker)
        return worker


class FakeWorker:
    """A case that takes turns; an order to one that has ended is a fault of whoever gives it."""

    def __init__(
        self, launches: FakeLaunches, launcher: FakeLauncher, spec: WorkerSpec, memory_limit: int, timeout_s: float
    ) -> None:
        self.spec, self.memory_limit, self.timeout_s = spec, memory_limit, timeout_s
        self.status, self.message, self.steady = OK, "", True
        self.executed: tuple[str, ...] = ()
        self.flags: tuple[Flag, ...] = ()
        self.active_s = 0.0
        self.ended = False
        self._launches, self._launcher = launches, launcher
        self._script = launches.script(spec, launcher.side)

    @property
    def alive(self) -> bool:
        """Whether it can take another order."""
        return self.status == OK and not self.ended

    def ask(self, name: str, **arguments: Any) -> list[Sample]:
        """Do as the script says."""
        assert self.alive, f"{self.spec.implementation} was told to {name} after its end"
        assert self._launcher.open
        script, launcher = self._script, self._launcher
        self._launches.orders.append(
            Order(launcher.launch, launcher.side.label, self.spec.implementation, name, arguments)
        )
        self.active_s += script.turn_s if name == "turn" else 0.0
        if self._ends(name, arguments):
            return list(script.samples.get(name, ()))
        if name == "reference":
            Path(f"{self.spec.reference}.1").touch()
        self.steady = script.steady
        self.executed = script.executed if name == "executed" else self.executed
        self.flags = script.flags.get(name, self.flags)
        if name == "turn" and name not in script.samples:
            round = int(arguments["round"])
            return [Sample("time", script.times[(launcher.launch + round) % len(script.times)], round)]
        return list(script.samples.get(name, _ANSWERS.get(name, ())))

    def finish(self) -> None:
        """End in order."""
        if self.alive:
            self.ask("finish")
        self.ended = True

    def kill(self) -> None:
        """End at once."""
        self.ended = True

    def log_tail(self) -> str:
        """Return what the script says."""
        return self._script.log

    def _ends(self, name: str, arguments: Mapping[str, Any]) -> bool:
        """End, if the script says so."""
        end = self._script.end
        if not end or (name, arguments.get("round", 0)) != (end.order, end.round):
            return False
        if end.launch not in (None, self._launcher.launch):
            return False
        if isinstance(end.how, BaseException):
            raise end.how
        status, _, self.message = end.how.partition(": ")
        self.status = Status(status)
        self.ended = True
        return True
