"""One inspection, in order: what is asked for, what each kernel compiles to, and the run that keeps it."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from harness.analysis.measurements import summarize_trials
from harness.core.case import Case, Group, PlannedCase
from harness.core.errors import UsageError
from harness.core.metric import find_metric
from harness.core.run_description import COMPLETE, RunDescription
from harness.core.suite import COMPILED, Policy
from harness.core.trial import Launch, Sample, Status, Trial, format_utc_now
from harness.detect import detect_environment
from harness.inspect.compiler_process import compile_all
from harness.plan import choose_implementations, expand_points
from harness.store.read import read_run
from harness.store.write import append_event, create_run, make_run_id, write_tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.catalog import Catalog
    from harness.core.environment import Environment
    from harness.core.run import Run
    from harness.core.suite import Selection
    from harness.core.workload import Params, Workload

# Axes of every inspection, beside those of the workload.
OWN = ("arch", "kernel")
_POLICY = Policy(launches=1, device="none", threads=1, mode=COMPILED)


def inspect_kernels(catalog: Catalog, selection: Selection, architectures: Sequence[str]) -> Iterator[Trial]:
    """Compile every kernel of a selection for every architecture, and yield what came of each.

    Raises:
        UsageError: a name or a value does not exist, or no implementation that is chosen declares kernels.
        HarnessError: the process that compiles does not start.
    """
    workload = catalog.workload(selection.workload)
    if taken := [axis.name for axis in workload.axes if axis.name in OWN]:
        raise UsageError(f"the axis '{taken[0]}' has the name of an axis of bench inspect; it needs another")
    wanted = choose_implementations(catalog, selection)
    declaring = [one.name for one in wanted if one.kernels]
    if not declaring or (selection.implementations and len(declaring) < len(wanted)):
        silent = ", ".join(one.name for one in wanted if not one.kernels)
        raise UsageError(f"nothing to inspect: no kernels are declared by {silent or workload.name}")
    questions = [dict(workload.point(params)) for params in _settled(workload, selection)]
    request = {
        "sources": catalog.sources,
        "workload": workload.name,
        "architectures": list(architectures),
        "items": [{"implementation": name, "params": params} for params in questions for name in declaring],
    }
    found = False
    for reply in compile_all(request):
        found = True
        yield _trial(workload.name, reply)
    if not found:
        raise UsageError(f"nothing to inspect: {', '.join(declaring)} declares no kernel at this point")


def _settled(workload: Workload, selection: Selection) -> Iterator[Params]:
    for params in expand_points(workload, selection):
        try:
            yield workload.settle(params)
        except ValueError as error:
            raise UsageError(f"nothing to inspect: {error}") from None


def keep_inspection(
    trials: Sequence[Trial],
    results: Path,
    baseline: str,
    *,
    command: Iterable[str],
    sources: Iterable[str],
    tags: Mapping[str, str],
) -> Run:
    """Keep what was found as a run: its cases are kernels, and nothing of it was measured.

    Raises:
        UsageError: the results folder cannot be written to.
        HarnessError: the disk is full or gone.
    """
    groups: dict[str, list[PlannedCase]] = {}
    for trial in trials:
        groups.setdefault(trial.case.group, []).append(PlannedCase(trial.case))
    plan = [Group(name, baseline, tuple(cases)) for name, cases in groups.items()]
    description = RunDescription(
        make_run_id(f"inspect-{trials[0].case.workload}"),
        tuple(plan),
        _POLICY,
        _of_compiler(detect_environment()),
        command=tuple(command),
        tags=tags,
        sources=tuple(sources),
    )
    folder = create_run(results, description)
    append_event(folder, Launch(0, format_utc_now(), {}))
    for trial in trials:
        append_event(folder, trial)
    run = read_run(folder)
    write_tables(run, summarize_trials(run.groups, run.trials), COMPLETE)
    return read_run(folder)


def _of_compiler(environment: Environment) -> Environment:
    """Leave of an environment what machine code depends on: the compiler and the code, and no machine."""
    nothing = {
        name: type(value)()
        for name, value in asdict(environment).items()
        if name not in ("host", "benchwright", "packages", "git_commit", "git_dirty")
    }
    return replace(environment, **{**nothing, "packages": {"triton": environment.packages["triton"]}})


def _trial(workload: str, reply: dict[str, Any]) -> Trial:
    """Return what became of a kernel as a trial of one launch."""
    own = tuple((name, reply[name]) for name in OWN)
    case = Case(workload, reply["implementation"], (*reply["params"].items(), *own))
    provenance = f"compiled: sha256 {reply.get('sha256', '')}"
    found = reply.get("metrics", {})
    samples = [Sample(find_metric(name).name, float(value), provenance=provenance) for name, value in found.items()]
    return Trial(
        case,
        0,
        Status(reply["status"]),
        reply["message"],
        format_utc_now(),
        found.get("compile_time", 0.0),
        reply.get("log", ""),
        samples,
        reply.get("instructions", ""),
    )
