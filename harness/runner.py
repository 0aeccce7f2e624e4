"""One run from its plan to its tables: the order of plan, folder, launches, trials and summary, and nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.analysis.measurements import summarize_trials
from harness.core.errors import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError
from harness.core.run_description import COMPLETE, INTERRUPTED, RunDescription
from harness.core.variant import BASE
from harness.launch.controller.fork_server import ForkServer
from harness.launch.controller.hosts import ALONE, Hosts
from harness.launch.controller.schedule import measure_plan
from harness.plan import Plan
from harness.revisions import check_out
from harness.store.ceilings import read_ceilings
from harness.store.hold import hold_measuring
from harness.store.read import read_run
from harness.store.write import append_event, create_run, make_run_id, reopen_run, write_tables

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from harness.core.case import Case, Group
    from harness.core.environment import Environment
    from harness.core.run import Run
    from harness.core.trial import Launch, Rest, Trial
    from harness.core.variant import Variant
    from harness.launch.controller.launcher import OpenLauncher
    from harness.launch.controller.schedule import Progress


@dataclass(frozen=True)
class Observer:
    """What is told of a run while it goes on; each is called between turns, never during one."""

    progress: Callable[[Progress], None]
    event: Callable[[Launch | Rest | Trial, str], None]
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
    variants: Sequence[Variant] = (),
) -> tuple[Run, ...]:
    """Create a run's folder from its plan; one for each of the variants that take turns, where there are some.

    Raises:
        UsageError: every case would be skipped, or the folder cannot be written.
    """
    if not plan.runnable:
        cases: dict[str, list[str]] = {}
        for planned in (planned for group in plan.groups for planned in group.cases):
            cases.setdefault(planned.skip, []).append(planned.case.id)
        more = {skip: f" and {len(ids) - 1} more" if len(ids) > 1 else "" for skip, ids in cases.items()}
        reasons = [f"{ids[0]}{more[skip]}: {skip}" for skip, ids in cases.items()]
        raise UsageError("nothing to do: " + ("; ".join(reasons) or "the selection is empty"))
    run = RunDescription(
        make_run_id(selection),
        plan.groups,
        plan.policy,
        environment,
        command=tuple(command),
        sources=sources,
        tags=tags,
        ceilings=read_ceilings(environment, plan.policy),
        metrics=plan.metrics,
    )
    described = [_of_variant(run, variant) for variant in variants] or [run]
    return tuple(read_run(create_run(results, one)) for one in described)


def open_run(folder: Path) -> tuple[Run, ...]:
    """Read a run, with the other sides of it where it has some: the base comes first.

    Raises:
        UsageError: there is no run.
    """
    run = read_run(folder)
    variant = run.description.variant
    if not variant:
        return (run,)
    sides = [read_run(other) for other in sorted(folder.resolve().parent.glob(f"{variant.run_set}-*"))]
    return tuple(sorted(sides, key=lambda side: not _is_base(side)))


def resume_run(folder: Path, environment: Environment) -> tuple[Run, ...]:
    """Open a run that was cut short.

    Raises:
        UsageError: there is no run, nothing of it was measured, or the machine is another one than it began on.
    """
    runs = open_run(folder)
    if runs[0].description.compiled:
        raise UsageError(f"{folder} is of kernels that were compiled: there is nothing to resume")
    if not all(run.complete for run in runs):
        _same_machine(runs[0], environment, "resume")
    return runs


def extend_run(
    runs: tuple[Run, ...], environment: Environment, launches: int, cases: Collection[Case]
) -> tuple[Run, ...]:
    """Let the given cases of a run go on by some launches; what was measured stays.

    Raises:
        UsageError: the machine is another one than the run began on.
    """
    _same_machine(runs[0], environment, "extend")
    for run in runs:
        reopen_run(run, [_extended(group, run.policy.launches, launches, cases) for group in run.groups])
    return tuple(read_run(run.folder) for run in runs)


def execute_run(
    runs: tuple[Run, ...], observer: Observer, hosts: Hosts = ALONE, open_launcher: OpenLauncher = ForkServer
) -> tuple[tuple[Run, ...], int]:
    """Measure what is missing, keep each trial as it ends, and write the tables; return the runs and the exit code.

    An interruption (Ctrl-C, SIGTERM) ends in a readable folder that can be resumed.
    """
    if all(run.complete for run in runs):
        return runs, choose_exit_code(runs)
    plan = Plan(runs[-1].groups, runs[-1].policy)
    interrupted = False
    folders = [run.folder for run in runs]
    with _terminable(), hold_measuring(folders), _alone(observer.waiting), contextlib.ExitStack() as stack:
        try:
            sides = [stack.enter_context(check_out(run)) for run in runs]
            events = measure_plan(plan, sides, [run.trials for run in runs], observer.progress, hosts, open_launcher)
            for side, event in stack.enter_context(contextlib.closing(events)):
                append_event(runs[side].folder, event)
                observer.event(event, sides[side].label)
        except KeyboardInterrupt:
            interrupted = True
    state = INTERRUPTED if interrupted else COMPLETE
    measured = [read_run(run.folder) for run in runs]
    runs = tuple(write_tables(run, summarize_trials(run.groups, run.trials, run.context), state) for run in measured)
    return runs, EXIT_INTERRUPTED if interrupted else choose_exit_code(runs)


def choose_exit_code(runs: tuple[Run, ...]) -> int:
    """Return 1 where a case failed, on the new side where there are two, else 0."""
    return EXIT_FAILED if any(trial.failed for trial in runs[-1].trials) else EXIT_OK


def _extended(group: Group, before: int, more: int, cases: Collection[Case]) -> Group:
    longer = (
        replace(planned, launches=(planned.launches or before) + more) if planned.case in cases else planned
        for planned in group.cases
    )
    return replace(group, cases=tuple(longer))


def _of_variant(run: RunDescription, variant: Variant) -> RunDescription:
    """Return what the run of a variant says of itself; all of them share the start of their names."""
    environment = run.environment
    if variant.commit:
        environment = replace(environment, git_commit=variant.commit, git_dirty=False)
    mine = replace(variant, run_set=run.id)
    return replace(run, id=f"{run.id}-{variant.role}", environment=environment, variant=mine)


def _is_base(run: Run) -> bool:
    variant = run.description.variant
    return variant is not None and variant.role == BASE


def _same_machine(run: Run, environment: Environment, what: str) -> None:
    if differences := run.environment.differences(environment):
        raise UsageError(f"cannot {what} {run.folder} on another machine or software: {'; '.join(differences)}")


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
