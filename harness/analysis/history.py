"""Runs over time: a series for each case, machine and setting, with what became of it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis.change_points import STABLE, Change, SeriesChange, find_changes
from harness.analysis.change_search import FEWEST
from harness.core.case import Case
from harness.core.comparison import name_direction

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from harness.core.measurement import Measurement
    from harness.core.metric import Metric
    from harness.core.run import MeasuredRun
    from harness.core.run_description import RunDescription
    from harness.core.suite import Mode

NO_VERDICT = "no verdict"
BY_COMMIT, BY_TIME = "commit", "time"


@dataclass(frozen=True)
class Point:
    """A case's number in one run.

    Attributes:
        known: whether git knows the commit.
    """

    run: str
    commit: str
    dirty: bool
    known: bool
    started_at: str
    value: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class LevelChange:
    """A change by the points that it lies between: ``before`` is surely at the old level, ``after`` at the new one."""

    change: Change
    direction: str
    before: Point
    after: Point

    @property
    def within_commit(self) -> bool:
        """Whether both are runs of one and the same code, which then is not the cause."""
        clean = not (self.before.dirty or self.after.dirty)
        return clean and bool(self.before.commit) and self.before.commit == self.after.commit


class Where(NamedTuple):
    """What the points of one series have in common."""

    case: Case
    metric: str
    environment: str
    threads: int
    mode: Mode
    device: str


@dataclass(frozen=True)
class Series:
    """The points of a case in one place, in order, and what became of them.

    Attributes:
        label: ``stable``, ``changed``, ``drift``, or ``no verdict``.
        direction: of a drift, in a word.
        needed: how many more points a verdict needs.
        note: why there is no verdict, where it is not for their number.
        unit: of the points.
    """

    where: Where
    unit: str
    ordered_by: str
    points: tuple[Point, ...]
    label: str
    changes: tuple[LevelChange, ...] = ()
    drift: float = 0.0
    direction: str = ""
    needed: int = 0
    note: str = ""


@dataclass(frozen=True)
class EnvironmentChange:
    """The first run of cases in an environment that is new to them: no commit is to blame for what follows."""

    run: str
    commit: str
    started_at: str
    before: str
    after: str
    differences: tuple[str, ...]
    cases: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class History:
    """All series of a metric, in the order in which their cases appear, and the changes of environment, by time."""

    series: tuple[Series, ...]
    environment_changes: tuple[EnvironmentChange, ...]


def build_history(runs: Sequence[MeasuredRun], metric: str, cases: Collection[str], topology: Sequence[str]) -> History:
    """Return the series of a metric.

    Args:
        runs: those that there are.
        metric: its name.
        cases: the ids that are wanted.
        topology: the commits that git knows, none before its parents.
    """
    position = {commit: index for index, commit in enumerate(topology)}
    machines = {run.description.id: run.description.environment.fingerprint for run in runs}
    rows = [
        (run.description, row)
        for run in sorted(runs, key=lambda run: run.description.started_at)
        for row in run.measurements
        if row.metric == metric and row.case.id in cases and math.isfinite(row.median)
    ]
    collected = defaultdict[Case, dict[Where, list[Point]]](dict)
    kinds = {row.case: row.kind for _, row in rows}  # as the newest run has it
    for run, row in rows:
        policy = run.policy
        where = Where(row.case, metric, machines[run.id], policy.threads, policy.mode, policy.device)
        point = _point(run, row, known=run.environment.git_commit in position)
        collected[row.case].setdefault(where, []).append(point)
    series = [
        _series(where, kinds[case], points, position)
        for case, places in collected.items()
        for where, points in places.items()
    ]
    return History(tuple(series), tuple(_environment_changes(rows, machines)))


def _point(run: RunDescription, row: Measurement, *, known: bool) -> Point:
    return Point(
        run=run.id,
        commit=run.environment.git_commit,
        dirty=run.environment.git_dirty,
        known=known,
        started_at=run.started_at,
        value=row.median,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
    )


def _series(where: Where, metric: Metric, points: list[Point], position: dict[str, int]) -> Series:
    """Put points, which come by time, in the order of commits where git knows them all; say what became of them."""
    by_commit = all(point.known for point in points)
    if by_commit:
        points.sort(key=lambda point: (position[point.commit], point.started_at))
    ordered_by = BY_COMMIT if by_commit else BY_TIME
    values, needed = [point.value for point in points], FEWEST - len(points)
    if needed > 0:
        return Series(where, metric.unit, ordered_by, tuple(points), NO_VERDICT, needed=needed)
    if min(values) <= 0:
        found = SeriesChange(STABLE if min(values) == max(values) else NO_VERDICT)
        note = "" if found.label == STABLE else "some values are not above zero, and have no relative change"
        return Series(where, metric.unit, ordered_by, tuple(points), found.label, note=note)
    found = find_changes(values, metric.margin)
    steps = tuple(
        LevelChange(change, _direction(metric, change.size), points[change.before], points[change.after])
        for change in found.changes
    )
    word = _direction(metric, found.drift) if found.drift else ""
    return Series(where, metric.unit, ordered_by, tuple(points), found.label, steps, found.drift, word)


def _direction(metric: Metric, change: float) -> str:
    """Return the word for a change, also of a metric of which neither direction is better."""
    if metric.better is None:
        return "higher" if change > 0 else "lower"
    return name_direction(metric, change)


def _environment_changes(
    rows: Iterable[tuple[RunDescription, Measurement]], machines: dict[str, str]
) -> list[EnvironmentChange]:
    """Return what is new in the environments of cases, by time; once for all cases that met it in the same run."""
    met = defaultdict[Case, dict[str, "RunDescription"]](dict)
    found: dict[tuple[str, str], EnvironmentChange] = {}
    for run, row in rows:
        before, machine = met[row.case], machines[run.id]
        if before and machine not in before:
            last = next(reversed(before.values()))
            change = _environment_change(last, run, machines)
            found.setdefault((change.before, run.id), change).cases.append(row.case.id)
        before.pop(machine, None)
        before[machine] = run
    return list(found.values())


def _environment_change(last: RunDescription, new: RunDescription, machines: dict[str, str]) -> EnvironmentChange:
    return EnvironmentChange(
        run=new.id,
        commit=new.environment.git_commit,
        started_at=new.started_at,
        before=machines[last.id],
        after=machines[new.id],
        differences=tuple(last.environment.differences(new.environment)),
    )
