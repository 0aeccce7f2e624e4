"""How time grows.

Time against an axis that has several values, both logarithmic: a straight line is a power law, and its slope the power.
Bars are 95 % intervals. A diamond marks where two implementations change places, between the points that were measured.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from harness.core.case import describe
from harness.core.metric import format_value, three_digits
from harness.report.figure import INK, Figure, error_bars, escape, log_axis, looks, series_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness.report.study import Study

_FEWEST = 2
# Lines of one figure; with more, nothing can be read off any of them.
_MOST = 24


def draw(study: Study) -> Iterator[Figure]:
    """Yield a figure for each numeric axis of which there are several values."""
    timed = study.values("time")
    for axis, values in study.axes.items():
        if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            lines = _lines(study, timed, axis)
            if lines:
                yield _figure(study, axis, lines)


def _lines(study: Study, timed: pd.DataFrame, axis: str) -> list[tuple[str, pd.DataFrame]]:
    """Return the cases that differ in the axis alone, by the rest of their point; the longest lines first."""
    having = timed[timed["params"].map(lambda params: axis in params)]
    if having.empty:
        return []
    having = having.assign(
        at=having["params"].map(lambda params: params[axis]),
        rest=[_rest(study, params, axis) for params in having["params"]],
    )
    grouped = having.groupby(["workload", "implementation", "machine", "rest"], sort=False)
    lines = [(str(key[3]), rows.sort_values("at")) for key, rows in grouped if len(rows) >= _FEWEST]
    return sorted(lines, key=lambda line: -len(line[1]))[:_MOST]


def _rest(study: Study, params: dict[str, Any], axis: str) -> str:
    return describe(tuple((name, value) for name, value in params.items() if name in study.axes and name != axis))


def _figure(study: Study, axis: str, lines: list[tuple[str, pd.DataFrame]]) -> Figure:
    found = looks(study)
    traces = []
    for rest, rows in lines:
        look = found[rows.iloc[0]["implementation"], rows.iloc[0]["machine"]]
        name = escape(" · ".join(filter(None, (series_name(study, rows.iloc[0]), rest))))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "name": name,
                "x": rows["at"].tolist(),
                "y": rows["median"].tolist(),
                "error_y": error_bars(rows),
                "line": look.line,
                "marker": look.marker,
                "hovertext": [_hover(name, axis, row) for row in rows.itertuples()],
                "hoverinfo": "text",
                "meta": {"cases": rows.index.tolist()},
            }
        )
    crossings = [mark for pair in itertools.combinations(lines, 2) for mark in _crossings(study, axis, *pair)]
    everything = [value for _, rows in lines for value in rows["median"]]
    positions = sorted({value for _, rows in lines for value in rows["at"]})
    ticks = {"tickvals": positions, "ticktext": [f"{one:g}" for one in positions]}
    layout = {
        "xaxis": log_axis(escape(axis), [], "1") | ticks,
        "yaxis": log_axis("time of a step", everything, "s"),
    }
    return Figure(f"scaling-{axis}", [*traces, *_marks(crossings)], layout)


def _hover(name: str, axis: str, row: Any) -> str:
    return f"{name}, {escape(axis)} {row.at}: {format_value(row.median, 's')}"


def _crossings(
    study: Study, axis: str, one: tuple[str, pd.DataFrame], other: tuple[str, pd.DataFrame]
) -> Iterator[tuple[float, float, str, list[int]]]:
    """Yield where two lines of the same question change places, on straight lines between their common points."""
    (rest, ours), (their_rest, theirs) = one, other
    if rest != their_rest or ours.iloc[0]["workload"] != theirs.iloc[0]["workload"]:
        return
    known = dict(zip(theirs["at"], zip(theirs["median"], theirs.index, strict=True), strict=True))
    common = [(row.at, row.median, row.Index, *known[row.at]) for row in ours.itertuples() if row.at in known]
    for (left, time, number, their_time, their_number), (right, later, _, their_later, _) in itertools.pairwise(common):
        before, after = math.log(time / their_time), math.log(later / their_later)
        if before * after < 0:
            share = before / (before - after)
            at = left * (right / left) ** share
            faster = series_name(study, (ours if after < 0 else theirs).iloc[0])
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
