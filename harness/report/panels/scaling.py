"""How time grows.

Time against an axis that has several values, both logarithmic: a straight line is a power law, and its slope the power.
Bars are 95 % intervals. A diamond marks where two implementations change places, between the points that were measured.
Where ranks exchange tensors, bus bandwidth stands below: what must cross each rank's link over the time, whatever the
algorithm. It rises with the size until the link is full, and what it is short of that at small sizes is latency.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from harness.core.metric import PRIMARY, find_metric, format_number, format_value
from harness.report.axis_lines import find_lines
from harness.report.figure import INK, Figure, choose_looks, draw_error_bars, escape_text, make_log_axis, select_finite
from harness.report.study import are_numeric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.axis_lines import AxisLine
    from harness.report.figure import Look
    from harness.report.study import Study

_FEWEST = 2
_LARGE = ((1 << 30, "g"), (1 << 20, "m"))


class _Measure(NamedTuple):
    """What is drawn over an axis: how its figures and its axis are called, and its unit."""

    suffix: str
    title: str
    unit: str


_BUS = find_metric("bus_bandwidth")
_MEASURES = {PRIMARY: _Measure("", "time of a step", "s"), _BUS.name: _Measure("-bus", _BUS.label, _BUS.unit)}


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield a figure for each numeric axis of which there are several values, and one of bandwidths where there are."""
    for metric, measure in _MEASURES.items():
        rows = select_finite(study.values(metric))
        for axis, values in study.axes.items():
            # Zero has no place on a logarithmic axis.
            there = rows[[params.get(axis, 0) > 0 for params in rows["params"]]] if are_numeric(values) else rows[:0]
            lines = find_lines(study, there, axis, fewest=_FEWEST) if len(there) else []
            if lines:
                yield _figure(study, axis, lines, measure)


def _figure(study: Study, axis: str, lines: list[AxisLine], measure: _Measure) -> Figure:
    found = choose_looks(study)
    traces = [
        _trace(line, found[tuple(line.rows.iloc[0][["implementation", "machine"]])], axis, measure.unit)
        for line in lines
    ]
    # Rates cross where times do, and one figure says where.
    pairs = itertools.combinations(lines, 2) if measure is _MEASURES[PRIMARY] else ()
    crossings = [mark for pair in pairs for mark in _crossings(axis, *pair)]
    positions = sorted({position for line in lines for position in line.at})
    layout = {
        "xaxis": make_log_axis(escape_text(axis), [], "1")
        | {"tickvals": positions, "ticktext": [_written(one) for one in positions]},
        "yaxis": make_log_axis(measure.title, [value for line in lines for value, _ in line.at.values()], measure.unit),
    }
    return Figure(f"scaling-{axis}{measure.suffix}", [*traces, *_marks(crossings)], layout)


def _written(value: float) -> str:
    """Write a place on an axis as the command line takes it: ``4096``, ``16m``."""
    factor, suffix = next((pair for pair in _LARGE if value >= pair[0] and value % pair[0] == 0), (1, ""))
    return f"{value / factor:.12g}{suffix}"


def _trace(line: AxisLine, look: Look, axis: str, unit: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": list(line.at),
        "y": [value for value, _ in line.at.values()],
        "error_y": draw_error_bars(line.rows),
        "line": look.line,
        "marker": look.marker,
        "hovertext": [
            f"{line.name}, {escape_text(axis)} {at}: {format_value(value, unit)}" for at, (value, _) in line.at.items()
        ],
        "hoverinfo": "text",
        "meta": {"cases": [number for _, number in line.at.values()]},
    }


def _crossings(axis: str, ours: AxisLine, theirs: AxisLine) -> Iterator[tuple[float, float, str, list[int]]]:
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
            text = escape_text(f"{faster} is the faster from about {axis} {format_number(at)}")
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
