"""How time grows.

Time against an axis that has several values, both logarithmic: a straight line is a power law, and its slope the power.
Bars are 95 % intervals. A diamond marks where two implementations change places, between the points that were measured.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core.case import describe
from harness.core.metric import format_value, three_digits
from harness.report.figure import INK, Figure, error_bars, escape, log_axis, looks, series_name
from harness.report.study import numeric

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness.report.figure import Look
    from harness.report.study import Study

_FEWEST = 2
# Lines of one figure; with more, nothing can be read off any of them.
_MOST = 24


class _Line(NamedTuple):
    """Cases that differ in one axis alone: where they are on it, their medians, and their numbers in the study."""

    name: str
    series: str
    question: tuple[str, str]
    rows: pd.DataFrame
    at: dict[float, tuple[float, int]]


def draw(study: Study) -> Iterator[Figure]:
    """Yield a figure for each numeric axis of which there are several values."""
    timed = study.values("time")
    if timed.empty:
        return
    for axis, values in study.axes.items():
        if numeric(values):
            # Zero has no place on a logarithmic axis.
            lines = _lines(study, timed[timed["params"].map(lambda params, axis=axis: params.get(axis, 0) > 0)], axis)
            if lines:
                yield _figure(study, axis, lines)


def _lines(study: Study, timed: pd.DataFrame, axis: str) -> list[_Line]:
    """Return the cases that differ in the axis alone, by the rest of their point; the longest lines first."""
    timed = timed.assign(
        at=[params[axis] for params in timed["params"]], rest=[_rest(study, one, axis) for one in timed["params"]]
    )
    grouped = timed.groupby(["workload", "implementation", "machine", "rest"], sort=False)
    lines = [_line(study, rows.sort_values("at")) for _, rows in grouped if len(rows) >= _FEWEST]
    return sorted(lines, key=lambda line: -len(line.rows))[:_MOST]


def _line(study: Study, rows: pd.DataFrame) -> _Line:
    first = next(rows.itertuples())
    series = series_name(study, first)
    name = escape(" · ".join(filter(None, (series, first.rest))))
    at = dict(zip(rows["at"], zip(rows["median"], rows.index, strict=True), strict=True))
    return _Line(name, series, (first.workload, first.rest), rows, at)


def _rest(study: Study, params: dict[str, Any], axis: str) -> str:
    return describe(tuple((name, value) for name, value in params.items() if name in study.axes and name != axis))


def _figure(study: Study, axis: str, lines: list[_Line]) -> Figure:
    found = looks(study)
    traces = [_trace(line, found[tuple(line.rows.iloc[0][["implementation", "machine"]])], axis) for line in lines]
    crossings = [mark for pair in itertools.combinations(lines, 2) for mark in _crossings(axis, *pair)]
    positions = sorted({position for line in lines for position in line.at})
    layout = {
        "xaxis": log_axis(escape(axis), [], "1")
        | {"tickvals": positions, "ticktext": [f"{one:g}" for one in positions]},
        "yaxis": log_axis("time of a step", [time for line in lines for time, _ in line.at.values()], "s"),
    }
    return Figure(f"scaling-{axis}", [*traces, *_marks(crossings)], layout)


def _trace(line: _Line, look: Look, axis: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": list(line.at),
        "y": [time for time, _ in line.at.values()],
        "error_y": error_bars(line.rows),
        "line": look.line,
        "marker": look.marker,
        "hovertext": [
            f"{line.name}, {escape(axis)} {at}: {format_value(time, 's')}" for at, (time, _) in line.at.items()
        ],
        "hoverinfo": "text",
        "meta": {"cases": [number for _, number in line.at.values()]},
    }


def _crossings(axis: str, ours: _Line, theirs: _Line) -> Iterator[tuple[float, float, str, list[int]]]:
    """Yield where two lines of the same question change places, on straight lines between their common points."""
    if ours.question != theirs.question:
        return
    common = [(at, *ours.at[at], *theirs.at[at]) for at in ours.at if at in theirs.at]
    for (left, time, number, their_time, their_number), (right, later, _, their_later, _) in itertools.pairwise(common):
        before, after = math.log(time / their_time), math.log(later / their_later)
        if before * after < 0:
            share = before / (before - after)
            at = left * (right / left) ** share
            faster = (ours if after < 0 else theirs).series
            text = escape(f"{faster} is the faster from about {axis} {three_digits(at)}")
            yield at, time * (later / time) ** share, text, [number, their_number]


def _marks(crossings: list[tuple[float, float, str, list[int]]]) -> list[dict[str, Any]]:
    if not crossings:
        return []
    return [
        {
            "type": "scatter",
            "mode": "markers",
            "name": "changes places",
            "x": [at for at, *_ in crossings],
            "y": [time for _, time, *_ in crossings],
            "marker": {"symbol": "diamond-open", "size": 13, "color": INK},
            "hovertext": [text for *_, text, _ in crossings],
            "hoverinfo": "text",
            "meta": {"cases": [cases for *_, cases in crossings]},
        }
    ]
