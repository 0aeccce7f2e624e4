"""The result table of a run as data: for the terminal, for machines, and for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.ratio import Ratio, time_ratio
from harness.analysis.summary import EMPTY, summarise
from harness.core.trial import OK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.core.case import Case, Group
    from harness.core.measurement import Measurement
    from harness.core.run import Context
    from harness.core.trial import Trial


@dataclass(frozen=True)
class Row:
    """A case's line: how it ended, and its measurements by metric.

    Attributes:
        status: ``ok`` where every launch was; otherwise that of the first that was not.
        ratio: time over the baseline's; None for the baseline itself and where one has no time.
    """

    case: Case
    status: str
    message: str
    measurements: dict[str, Measurement]
    ratio: Ratio | None

    @property
    def flags(self) -> tuple[str, ...]:
        """The warnings on the case's time."""
        time = self.measurements.get("time")
        return time.flags if time else ()


@dataclass(frozen=True)
class GroupTable:
    """The lines of a group."""

    group: Group
    rows: tuple[Row, ...]


def result_tables(groups: Sequence[Group], trials: Iterable[Trial], context: Context = EMPTY) -> list[GroupTable]:
    """Return a table for each group, in the order of the plan; a case that has no trial yet has no line."""
    trials = list(trials)
    measurements = summarise(groups, trials, context)
    tables = []
    for group in groups:
        mine = {planned.case: [t for t in trials if t.case == planned.case] for planned in group.cases}
        baseline = next((ts for case, ts in mine.items() if case.implementation == group.baseline), [])
        rows = []
        for case, its in mine.items():
            if its:
                worst = next((trial for trial in its if trial.status != OK), its[0])
                ratio = time_ratio(its, baseline, paired=group.interleaved) if its is not baseline else None
                metrics = {m.metric: m for m in measurements if m.case == case}
                rows.append(Row(case, worst.status, worst.message, metrics, ratio))
        tables.append(GroupTable(group, tuple(rows)))
    return tables
