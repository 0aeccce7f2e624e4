"""What the schedule of a run needs of its processes: a launcher that starts workers, and a handle of each worker.

``ForkServer`` is the launcher of a real run. Whatever else has these methods will do, so that the schedule can be
tested without a process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.core.flag import Flag
    from harness.core.trial import Sample, Status
    from harness.launch.code_version import CodeVersion
    from harness.launch.controller.hosts import Hosts
    from harness.launch.protocol import WorkerSpec

    # Threads of a worker, the folder that the run keeps for a while, the side, and the hosts.
    OpenLauncher = Callable[[int, Path, CodeVersion, Hosts], "Launcher"]


class WorkerHandle(Protocol):
    """The process of a case.

    Attributes:
        status: ``ok`` until something went wrong.
        message: what did.
        steady: whether times had settled when warming up ended.
        executed: what a step ran, once it was asked for.
        flags: warnings about all samples.
        active_s: the time that the worker has spent on orders, in seconds.
    """

    status: Status
    message: str
    steady: bool
    executed: tuple[str, ...]
    flags: tuple[Flag, ...]
    active_s: float

    @property
    def alive(self) -> bool:
        """Whether the worker can take another order."""

    def ask(self, name: str, **arguments: Any) -> list[Sample]:
        """Give the worker the turn for one order, and return its samples; a failure is left in ``status``."""

    def finish(self) -> None:
        """Let the worker end in order; what it leaves running is a failure."""

    def kill(self) -> None:
        """End the worker at once; its status stays."""

    def log_tail(self) -> str:
        """Return the end of what the worker wrote."""


class Launcher(Protocol):
    """One launch of a side, for as long as it is open; leaving it ends all its workers."""

    @property
    def side(self) -> CodeVersion:
        """The version of the code under test that its workers run."""

    @property
    def runtime(self) -> dict[str, Any]:
        """The settings of torch in this launch; waits until it is up, and raises HarnessError if it does not start."""

    @property
    def deaths(self) -> int:
        """How often its process has died; after each, the next worker is forked from another."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...

    def fork(self, spec: WorkerSpec, memory_limit: int, timeout_s: float) -> WorkerHandle:
        """Start a worker that waits for its first order.

        Args:
            spec: what it is told of its case.
            memory_limit: bytes that it may allocate; 0 for no limit.
            timeout_s: time that all its orders may take together.

        Raises:
            HarnessError: the launch is gone.
        """
