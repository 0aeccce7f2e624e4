"""Cases that differ in one axis alone, as lines over it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core.case import describe_point
from harness.report.figure import escape_text, name_series

if TYPE_CHECKING:
    import pandas as pd

    from harness.report.study import Study

# Lines of one figure; with more, nothing can be read off any of them.
_MOST = 24


class AxisLine(NamedTuple):
    """Cases that differ in one axis alone: where they are on it, their medians, and their numbers in the study."""

    name: str
    series: str
    question: tuple[str, str]
    rows: pd.DataFrame
    at: dict[float, tuple[float, int]]


def find_lines(study: Study, rows: pd.DataFrame, axis: str, *, fewest: int) -> list[AxisLine]:
    """Return the cases that differ in the axis alone, by the rest of their point; the longest lines first.

    Args:
        study: that the cases are of.
        rows: the cases, with the ``median`` of a metric; those without the axis are left out.
        axis: along which the lines go.
        fewest: points that make a line.
    """
    rows = rows[rows["params"].map(lambda params: axis in params)]
    rows = rows.assign(
        at=[params[axis] for params in rows["params"]], rest=[describe_rest(study, one, axis) for one in rows["params"]]
    )
    grouped = rows.groupby(["workload", "implementation", "machine", "rest"], sort=False)
    lines = [_line(study, mine.sort_values("at")) for _, mine in grouped if len(mine) >= fewest]
    return sorted(lines, key=lambda line: -len(line.rows))[:_MOST]


def _line(study: Study, rows: pd.DataFrame) -> AxisLine:
    first = next(rows.itertuples())
    series = name_series(study, first)
    name = escape_text(" · ".join(filter(None, (series, first.rest))))
    at = dict(zip(rows["at"], zip(rows["median"], rows.index, strict=True), strict=True))
    return AxisLine(name, series, (first.workload, first.rest), rows, at)


def describe_rest(study: Study, params: dict[str, Any], axis: str) -> str:
    """Return the point of a case without an axis: of the others, those that have several values."""
    return describe_point(tuple((name, value) for name, value in params.items() if name in study.axes and name != axis))
