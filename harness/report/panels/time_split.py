"""Where the time of a step goes.

Where a step trains or its ranks communicate: forward pass, backward pass, update, and communication that no computation
hides. Each is of the slowest rank, from a profile in a pass of its own, which makes a step longer: read shares off it,
and times elsewhere. Communication that is overlapped is not in a bar: how much of it that is stands at the end. Nor is
what a step does beside all these.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.core.metric import find_metric, format_value
from harness.report.figure import COLOURS, INK, Figure, escape_text, name_series, select_finite
from harness.report.samples import SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.figure import Trace
    from harness.report.study import Study

_ROW_PX = 26
# The axis is so many times as long as the longest bar, for what is written at its end.
_ROOM = 1.35
_PARTS = ("forward_time", "backward_time", "optimizer_time", "exposed_communication_time")


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield the parts of each case, one after the other, with the share of its communication that is overlapped."""
    parts = {find_metric(metric).label: rows for metric in _PARTS if len(rows := select_finite(study.values(metric)))}
    if not parts:
        return
    every = pd.concat(list(parts.values()))
    labels = {int(row.Index): escape_text(f"{name_series(study, row)}, {row.question}") for row in every.itertuples()}
    traces = [_part(name, colour, rows, labels) for colour, (name, rows) in zip(COLOURS, parts.items(), strict=False)]
    ends = every.groupby(level=0)["median"].sum()
    overlaps = _overlaps(study, ends, labels)
    y = {"categoryorder": "array", "categoryarray": [labels[case] for case in sorted(labels)][::-1], "automargin": True}
    room = _ROOM if overlaps else 1.05
    x = {"title": {"text": "time of a step, profiled"}, "range": [0, room * float(ends.max())]} | SECONDS
    layout = {"barmode": "stack", "legend": {"traceorder": "normal"}, "xaxis": x, "yaxis": y}
    yield Figure("time-split", [*traces, *overlaps], layout, row_px=_ROW_PX)


def _part(name: str, colour: str, rows: pd.DataFrame, labels: dict[int, str]) -> Trace:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": rows["median"].tolist(),
        "y": rows.index.map(labels).tolist(),
        "marker": {"color": colour},
        "hovertext": [f"{labels[row.Index]}: {format_value(row.median, 's')}, {name}" for row in rows.itertuples()],
        "hoverinfo": "text",
        "meta": {"cases": rows.index.tolist()},
    }


def _overlaps(study: Study, ends: pd.Series[Any], labels: dict[int, str]) -> list[Trace]:
    """Return the overlap of each case that communicates, written at the end of its bar."""
    rows = select_finite(study.values("overlap_share"))
    rows = rows[rows.index.isin(ends.index)]
    if rows.empty:
        return []
    whole = study.values("communication_time")["median"]
    texts = [_overlap(row.median, whole.get(row.Index, math.nan)) for row in rows.itertuples()]
    return [
        {
            "type": "scatter",
            "mode": "text",
            "showlegend": False,
            "x": ends[rows.index].tolist(),
            "y": rows.index.map(labels).tolist(),
            "text": texts,
            "textposition": "middle right",
            "textfont": {"size": 11, "color": INK},
            "hoverinfo": "skip",
            "cliponaxis": False,
            "meta": {"cases": rows.index.tolist()},
        }
    ]


def _overlap(share: float, whole: float) -> str:
    of = f" of {format_value(whole, 's')}" if math.isfinite(whole) else ""
    return f" {share:.0%}{of} overlapped"
