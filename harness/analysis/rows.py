"""The result table of a run as data: for the terminal, for machines, and for reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.measurements import group_by_case
from harness.analysis.net_energy import GROSS
from harness.analysis.ratio import Ratio, compare_times
from harness.core.metric import PRIMARY
from harness.core.trial import OK, group_trials

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.core.case import Case, Group
    from harness.core.measurement import Measurement
    from harness.core.run import Run
    from harness.core.trial import Status, Trial


@dataclass(frozen=True)
class ResultRow:
    """A case's line: how it ended, and its measurements by metric.

    Attributes:
        status: ``ok`` where every launch was; otherwise that of the first that was not.
        ratio: time over the baseline's; None for the baseline itself and where one has no time.
    """

    case: Case
    status: Status
    message: str
    measurements: dict[str, Measurement]
    ratio: Ratio | None

    @property
    def flags(self) -> tuple[str, ...]:
        """The warnings on the case's time and on its energy."""
        found = (self.measurements[metric] for metric in (PRIMARY, GROSS) if metric in self.measurements)
        return tuple(dict.fromkeys(flag for measurement in found for flag in measurement.flags))


@dataclass(frozen=True)
class GroupTable:
    """The lines of a group."""

    group: Group
    rows: tuple[ResultRow, ...]


def build_result_tables(run: Run) -> list[GroupTable]:
    """Return a table for each group of a run, in the order of the plan; a case that has no trial yet has no line."""
    ended, measured = group_trials(run.trials), group_by_case(run.groups, run.trials, run.context)
    return [GroupTable(group, tuple(_rows(group, ended, measured))) for group in run.groups]


def _rows(
    group: Group, ended: Mapping[Case, list[Trial]], measured: Mapping[Case, dict[str, Measurement]]
) -> Iterator[ResultRow]:
    baseline = next((ended[one.case] for one in group.cases if one.case.implementation == group.baseline), [])
    for case in (planned.case for planned in group.cases):
        if its := ended[case]:
            worst = next((trial for trial in its if trial.status != OK), its[0])
            ratio = compare_times(its, baseline, paired=group.interleaved) if its is not baseline else None
            yield ResultRow(case, worst.status, worst.message, measured[case], ratio)
