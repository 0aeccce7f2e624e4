"""One run from its plan to its tables: the order of plan, folder, launches, trials and summary, and nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.summary import summarise
from harness.core.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError
from harness.launch.run import measure
from harness.plan import Plan
from harness.store.read import Run, read_run
from harness.store.write import COMPLETE, INTERRUPTED, append, create_run, write_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from harness.core.environment import Environment
    from harness.core.trial import Launch, Trial
    from harness.launch.run import Progress


@dataclass(frozen=True)
class Observer:
    """What is told of a run while it goes on; each is called between turns, never during one."""

    progress: Callable[[Progress], None]
    event: Callable[[Launch | Trial], None]
    waiting: Callable[[str], None]


def start_run(
    plan: Plan,
    results: Path,
    selection: str,
    environment: Environment,
    *,
    command: Iterable[str],
    sources: tuple[str, ...],
    tags: Mapping[str, str],
) -> Run:
    """Create a run's folder from its plan.

    Raises:
        UsageError: every case would be skipped, or the folder cannot be written.
    """
    if not plan.runnable:
        reasons = [f"{p.case.id}: {p.skip}" for group in plan.groups for p in group.cases]
        raise UsageError("nothing to do: " + ("; ".join(reasons) or "the selection is empty"))
    folder = create_run(
        results, selection, plan.groups, plan.policy, environment, command=command, sources=sources, tags=tags
    )
    return read_run(folder)


def resume_run(folder: Path, environment: Environment) -> Run:
    """Open a run that was cut short.

    Raises:
        UsageError: there is no run, or the machine is another one than it began on.
    """
    run = read_run(folder)
    if not run.complete and (differences := run.environment.differences(environment)):
        raise UsageError(f"cannot resume {folder} on another machine or software: {'; '.join(differences)}")
    return run


def execute(run: Run, observer: Observer) -> tuple[Run, int]:
    """Measure what is missing, keep each trial as it ends, and write the tables; return the run and the exit code.

    An interruption (Ctrl-C, SIGTERM) ends in a readable folder that can be resumed.
    """
    if run.complete:
        return run, exit_code(run)
    plan = Plan(run.groups, run.policy)
    interrupted = False
    events = measure(plan, tuple(run.meta["sources"]), run.trials, observer.progress)
    with _terminable(), _alone(observer.waiting), contextlib.closing(events):
        try:
            for event in events:
                append(run.folder, event)
                observer.event(event)
        except KeyboardInterrupt:
            interrupted = True
    run = read_run(run.folder)
    state = INTERRUPTED if interrupted else COMPLETE
    write_tables(run.folder, run.meta, run.trials, summarise(run.groups, run.trials), state)
    return run, EXIT_INTERRUPTED if interrupted else exit_code(run)


def exit_code(run: Run) -> int:
    """Return 1 where a case failed, else 0."""
    return EXIT_FAILED if any(trial.failed for trial in run.trials) else EXIT_OK


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a run the way Ctrl-C does."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def _alone(waiting: Callable[[str], None]) -> Iterator[None]:
    """Wait until no other run of this user measures on this machine: two at once would measure each other."""
    path = Path(tempfile.gettempdir()) / f"benchwright-{os.getuid()}.lock"
    with path.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            waiting(f"another run is measuring on this machine (process {lock.read().strip()}); waiting for its end")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
