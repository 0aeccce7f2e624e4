"""Where each implementation wins.

A row is a point of the workload, a column an implementation, and a cell the ratio of its time to the fastest of its
row: 1 is the fastest. The colour is the logarithm of that; an empty cell has no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.core.metric import format_number, format_value
from harness.report.figure import Figure, escape_text, name_series

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.study import Study

_ROW_PX = 26
# From light to dark, and from yellow to blue, for any eye.
_SCALE = [[0, "#fdf6d8"], [0.25, "#f0c967"], [0.5, "#c9885e"], [0.75, "#7c5a86"], [1, "#35407c"]]
_FEWEST = 2


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield the map, where there are at least two points and two implementations."""
    timed = study.values("time")
    rows, columns = timed["question"].nunique(), timed["implementation"].nunique()
    if rows < _FEWEST or columns < _FEWEST:
        return
    timed = timed.assign(column=[name_series(study, row) for row in timed.itertuples()])
    best = timed.groupby(["workload", "question"])["median"].transform("min")
    timed = timed.assign(slower=timed["median"] / best)
    ratios = timed.pivot_table(index="question", columns="column", values="slower", sort=False)
    cases = timed.assign(case=timed.index).pivot_table(index="question", columns="column", values="case", sort=False)
    times = timed.pivot_table(index="question", columns="column", values="median", sort=False)
    numbers = [[None if np.isnan(cell) else int(cell) for cell in row] for row in cases.to_numpy()]
    trace = {
        "type": "heatmap",
        "x": [escape_text(name) for name in ratios.columns],
        "y": [escape_text(name) for name in ratios.index],
        "z": np.log2(ratios.to_numpy()),
        "text": [[format_number(cell) if cell > 0 else "" for cell in row] for row in ratios.to_numpy()],
        "hovertext": [[format_value(cell, "s") for cell in row] for row in times.to_numpy()],
        "texttemplate": "%{text}",
        "hovertemplate": "%{y}<br>%{x}: %{hovertext}, %{text} of the fastest<extra></extra>",
        "colorscale": _SCALE,
        "zmin": 0,
        "zmax": float(max(1.0, np.nanmax(np.log2(ratios.to_numpy())))),
        "colorbar": {"title": {"text": "doublings"}, "thickness": 12},
        "xgap": 2,
        "ygap": 2,
        "meta": {"cases": numbers},
    }
    layout = {
        "xaxis": {"side": "top", "automargin": True},
        "yaxis": {"autorange": "reversed", "automargin": True, "type": "category"},
    }
    yield Figure("heat-map", [trace], layout, row_px=_ROW_PX)
