"""How much faster, kind by kind.

Where an axis has several values that are no numbers, each is a row, with the speed of every implementation relative to
the baseline there: right of the line at 1 is faster. Bars are 95 % intervals, and one that ends at the edge of the
figure goes on beyond it; the axis is logarithmic. The last row is the geometric mean over all values, of those that
have a speed at each. In the table the fastest of a row is bold; where nothing is, the baseline is. An open mark, and a
number in parentheses, is of times under which cores were not free: others were at work beside one of the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.report.figure import (
    INK,
    Figure,
    choose_looks,
    draw_error_bars,
    escape_text,
    explain_symbol,
    make_ratio_axis,
)
from harness.report.html import Html
from harness.report.speeds import compare_speeds
from harness.report.study import are_numeric

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.report.figure import Look, Trace
    from harness.report.speeds import Speed
    from harness.report.study import Study

# Of a row: of each implementation, and of what lies between rows.
_LANE_PX = 11
_FEWEST = 2


def draw_panel(study: Study) -> Iterator[Figure | Html]:
    """Yield a figure and a table for each axis that has several values which are no numbers."""
    for axis, values in study.axes.items():
        found = [] if are_numeric(values) else compare_speeds(study, axis)
        known = [speed for speed in found if speed.known]
        if len({speed.row for speed in known}) >= _FEWEST:
            yield _figure(study, axis, known)
            yield Html("speed_up.html", _table(axis, found))


def _figure(study: Study, axis: str, known: Sequence[Speed]) -> Figure:
    grouped = {series: [one for one in known if one.series == series] for series in choose_looks(study)}
    traces = [_trace(mine, choose_looks(study)[series]) for series, mine in grouped.items() if mine]
    lanes = len(traces)
    if any(speed.doubts for speed in known):
        traces.append(explain_symbol("circle-open", "cores were not free"))
    line = {"type": "line", "xref": "x", "yref": "paper", "x0": 1, "x1": 1, "y0": 0, "y1": 1}
    rows = [escape_text(row) for row in dict.fromkeys(speed.row for speed in known)]
    rows_axis = {"type": "category", "categoryorder": "array", "categoryarray": rows, "autorange": "reversed"}
    layout = {
        "xaxis": make_ratio_axis(f"speed / {_baselines(known)}", pd.DataFrame(known)),
        # Lines between the rows, which tell where the marks of one end.
        "yaxis": rows_axis | {"tickson": "boundaries"},
        "shapes": [line | {"line": {"color": INK, "width": 1}}],
        "scattermode": "group",
        "scattergap": 0.3,
    }
    return Figure(f"speed-up-{axis}", traces, layout, row_px=_LANE_PX * (lanes + 1))


def _baselines(known: Sequence[Speed]) -> str:
    names = {speed.baseline for speed in known}
    return escape_text(names.pop()) if len(names) == 1 else "baseline"


def _trace(mine: Sequence[Speed], look: Look) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "offsetgroup": escape_text(mine[0].name),
        "name": escape_text(mine[0].name),
        "x": [speed.median for speed in mine],
        "y": [escape_text(speed.row) for speed in mine],
        "error_x": draw_error_bars(pd.DataFrame(mine)),
        "marker": look.marker | {"symbol": [f"{look.symbol}{'-open' if speed.doubts else ''}" for speed in mine]},
        "hovertext": [escape_text(_said(speed)) for speed in mine],
        "hoverinfo": "text",
        "meta": {"cases": [list(speed.cases) for speed in mine]},
    }


def _said(speed: Speed) -> str:
    doubts = f"; cores were not free: {', '.join(speed.doubts)}" if speed.doubts else ""
    return f"{speed.name}, {speed.row}: {speed.text} of the speed of {speed.baseline}{doubts}"


def _table(axis: str, found: Sequence[Speed]) -> dict[str, Any]:
    """Return rows with a cell for each implementation that was to run at some value."""
    names = {speed.series: speed.name for speed in found if not speed.skipped}
    there = {(speed.row, speed.series): speed for speed in found}
    rows = []
    for row in dict.fromkeys(speed.row for speed in found):
        mine = [there.get((row, series)) for series in names]
        fastest = max((one.median for one in mine if one and one.known), default=0.0)
        rows.append({"name": row, "cells": [_cell(one, fastest) for one in mine]})
    return {"axis": axis, "names": list(names.values()), "rows": rows}


def _cell(speed: Speed | None, fastest: float) -> dict[str, Any]:
    if speed is None:
        return {"cases": "", "text": "", "reason": "", "best": False}
    return {
        "cases": " ".join(map(str, speed.cases)),
        "text": speed.text if speed.known else "",
        "reason": speed.reason,
        "best": speed.median == fastest > 1,
    }
