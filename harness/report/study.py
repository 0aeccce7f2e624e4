"""What panels read: the runs of a report as tables, one row an observation, with everything that is derived of them."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.compare import compare_runs
from harness.analysis.conditions import find_differences
from harness.analysis.rows import ResultRow, build_result_tables
from harness.core.case import describe_point
from harness.core.environment import shorten_name
from harness.core.rules import Rules
from harness.core.run import were_interleaved
from harness.core.trial import OK, group_trials
from harness.formats.command import write_run_command

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from harness.analysis.compare import RunComparison
    from harness.analysis.history import History
    from harness.core.axis import Scalar
    from harness.core.case import PlannedCase
    from harness.core.environment import Environment
    from harness.core.run import Run
    from harness.core.suite import Policy
    from harness.core.trial import Trial

_CASES = (
    *("run", "machine", "workload", "group", "question", "implementation", "baseline", "params", "dtype"),
    *("status", "message", "log", "ratio", "ratio_low", "ratio_high", "detectable", "flops", "bytes"),
    *("flags", "executed", "command"),
)
_MEASUREMENTS = ("case", "metric", "unit", "median", "ci_low", "ci_high", "n", "launches", "provenance", "flags")
_SAMPLES = ("case", "launch", "round", "index", "metric", "value", "flags")


@dataclass(frozen=True)
class Study:
    """One or several runs, read to be shown.

    Attributes:
        runs: in the order in which they were given.
        labels: a short name for each run, by its id: the machine, and what else tells it from the others.
        cases: one row for each case of each run, with how it ended and its ratio to the baseline; the index is the
            number of the case in this study.
        rows: the same cases, with their measurements.
        measurements: one row for each case and metric, as in ``measurements.parquet``.
        samples: one row for each raw observation of the cases that ended well.
        axes: the axes of which there are several values, with these in order.
        reports: what came of runs that can be compared, each against the first.
        history: the series of these cases over all runs that are kept; None where it was not asked for.
        left_out: why runs could not be read, a line each.
    """

    runs: tuple[Run, ...]
    labels: dict[str, str]
    cases: pd.DataFrame
    rows: tuple[ResultRow, ...]
    measurements: pd.DataFrame
    samples: pd.DataFrame
    axes: dict[str, list[Any]]
    reports: tuple[RunComparison, ...] = ()
    history: History | None = None
    left_out: tuple[str, ...] = ()

    @property
    def several(self) -> bool:
        """Whether cases are told apart by their run too."""
        return len(self.runs) > 1

    def values(self, metric: str) -> pd.DataFrame:
        """Return the cases that have a metric, with its ``median``, ``ci_low``, ``ci_high`` and ``provenance``."""
        mine = self.measurements[self.measurements["metric"] == metric].set_index("case")
        return self.cases.join(mine[["median", "ci_low", "ci_high", "unit", "provenance"]], how="inner")

    def samples_of(self, metric: str) -> dict[int, pd.DataFrame]:
        """Return the raw values of a metric by case, in the order in which they were taken."""
        mine = self.samples[self.samples["metric"] == metric]
        return {int(case): rows for case, rows in mine.groupby("case", sort=False)}


NO_RULES = Rules()


def build_study(
    runs: Sequence[Run], *, rules: Rules = NO_RULES, history: History | None = None, left_out: Iterable[str] = ()
) -> Study:
    """Return the tables of runs.

    Args:
        runs: those of two sides one after the other, the base first.
        rules: by which runs that can be compared are judged.
        history: of the cases, where it is to be shown.
        left_out: why other runs could not be read.
    """
    axes, labels, names = _varying(runs), label_runs(runs), _questions(runs)
    cases, measurements, samples = list[tuple[Any, ...]](), list[tuple[Any, ...]](), list[tuple[Any, ...]]()
    rows = list[ResultRow]()
    for run in runs:
        trials = group_trials(run.trials)
        for row, planned, baseline in _rows(run):
            number = len(cases)
            rows.append(row)
            named = (run.id, labels[run.id], row.case.workload, row.case.group, names[row.case.group])
            cases.append((*named, *_case(run, row, planned, baseline, trials[row.case])))
            measurements += _measurements(number, row)
            samples += _samples(number, trials[row.case])
    return Study(
        tuple(runs),
        labels,
        pd.DataFrame(cases, columns=list(_CASES)),
        tuple(rows),
        pd.DataFrame(measurements, columns=list(_MEASUREMENTS)),
        pd.DataFrame(samples, columns=list(_SAMPLES)),
        axes,
        tuple(_reports(runs, rules)),
        history,
        tuple(left_out),
    )


def label_runs(runs: Sequence[Run]) -> dict[str, str]:
    """Return a short name for each run by its id: its machine, and its revision or name where that is not enough."""
    machines = {run.id: name_machine(run.environment, run.policy) for run in runs}
    found = {}
    for run in runs:
        like = [other for other in runs if machines[other.id] == machines[run.id]]
        revisions = [_revision(other) for other in like]
        told = len(like) == 1 or ("" not in revisions and len(set(revisions)) == len(like))
        apart = _revision(run) if told else run.id
        found[run.id] = machines[run.id] if len(like) == 1 else f"{machines[run.id]}, {apart}"
    return found


def _revision(run: Run) -> str:
    """Return what a side of a run is called: as the user wrote it; empty of a plain run."""
    variant = run.description.variant
    return variant.ref or "working tree" if variant else ""


def name_machine(environment: Environment, policy: Policy) -> str:
    """Return what a run was measured on, in a few words: the GPU, or the processor without its maker's ornaments."""
    if policy.device.startswith("cuda") and environment.gpus:
        return environment.gpus[min(int(policy.device.partition(":")[2] or 0), len(environment.gpus) - 1)].name
    return shorten_name(environment.cpu_model) or "a machine without a name"


def _varying(runs: Iterable[Run]) -> dict[str, list[Scalar | None]]:
    """Return the axes of which some workload has several values, numbers by size and all else as planned.

    None stands for what the name of a case leaves out: the default of an axis that is implied.
    """
    found: dict[str, dict[Scalar | None, None]] = {}
    for (_, name), values in _values(runs).items():
        if len(values) > 1:
            found[name] = found.get(name, {}) | values
    return {name: sorted(values, key=_order) if are_numeric(values) else list(values) for name, values in found.items()}


def _questions(runs: Sequence[Run]) -> dict[str, str]:
    """Return a short name for each group: of its point, what differs between the groups of its workload."""
    cases = {group.id: group.cases[0].case for run in runs for group in run.groups if group.cases}
    workloads, values = {case.workload for case in cases.values()}, _values(runs)
    found = {}
    for group, case in cases.items():
        told = describe_point(
            tuple((name, value) for name, value in case.point if len(values[case.workload, name]) > 1)
        )
        found[group] = " ".join(filter(None, (case.workload if len(workloads) > 1 or not told else "", told)))
    return found


def _values(runs: Iterable[Run]) -> dict[tuple[str, str], dict[Scalar | None, None]]:
    """Return what values every axis of every workload has; None among them where a case does not name the axis."""
    points = dict.fromkeys(
        (planned.case.workload, planned.case.point) for run in runs for group in run.groups for planned in group.cases
    )
    names = defaultdict[str, dict[str, None]](dict)
    for workload, point in points:
        names[workload] |= dict.fromkeys(name for name, _ in point)
    found = defaultdict[tuple[str, str], dict["Scalar | None", None]](dict)
    for workload, point in points:
        params = dict(point)
        for name in names[workload]:
            found[workload, name][params.get(name)] = None
    return found


def _order(value: Any) -> float:
    return -math.inf if value is None else float(value)


def are_numeric(values: Iterable[Any]) -> bool:
    """Return whether all values are numbers, or are not named."""
    return all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values)


def format_axis_value(value: Any) -> str:
    """Write the value of an axis; one that a case does not name is the default."""
    return "default" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _rows(run: Run) -> Iterator[tuple[ResultRow, PlannedCase, str]]:
    for table in build_result_tables(run):
        planned = {one.case: one for one in table.group.cases}
        for row in table.rows:
            yield row, planned[row.case], table.group.baseline


def _case(run: Run, row: ResultRow, planned: PlannedCase, baseline: str, trials: Sequence[Trial]) -> tuple[Any, ...]:
    case, ratio = row.case, row.ratio
    interval = (ratio.value, ratio.ci_low, ratio.ci_high, ratio.detectable) if ratio else (math.nan,) * 4
    return (
        case.implementation,
        baseline,
        case.params,
        planned.product_dtype,
        row.status,
        row.message,
        next((trial.log for trial in trials if trial.status == row.status), ""),
        *interval,
        planned.cost.flops,
        planned.cost.bytes,
        ", ".join(row.flags),
        next((trial.executed for trial in trials if trial.executed), ""),
        write_run_command(case, run.policy, baseline),
    )


def _measurements(number: int, row: ResultRow) -> Iterator[tuple[Any, ...]]:
    for found in row.measurements.values():
        values = (found.median, found.ci_low, found.ci_high, found.n, found.launches)
        yield number, found.metric, found.unit, *values, found.provenance, ", ".join(found.flags)


def _samples(number: int, trials: Iterable[Trial]) -> Iterator[tuple[Any, ...]]:
    for trial in trials:
        if trial.status == OK:
            for one in trial.samples:
                yield number, trial.launch, one.round, one.index, one.metric, one.value, one.flags


def _reports(runs: Sequence[Run], rules: Rules) -> Iterator[RunComparison]:
    """Yield what may be said of each run against the first, where they took turns or differ in no condition."""
    for other in runs[1:]:
        if were_interleaved(runs[0], other) or not find_differences(runs[0], other):
            yield compare_runs(runs[0], other, rules)
