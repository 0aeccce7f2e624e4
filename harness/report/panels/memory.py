"""How much memory.

The peak of one step, above its inputs, on an axis of powers of two. Host and device stand apart, and so do the metrics
of one side: each sees something else, partly the same bytes, so that no two may be added. Below, time against the peak:
dotted lines join the implementations of a point, and one that falls to the right is time bought with memory. Where a
step trains, what it keeps stands below, part by part; these do add up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.core.metric import PRIMARY, find_metric, format_value
from harness.report.figure import (
    COLOURS,
    Figure,
    draw_links,
    draw_points,
    escape_text,
    make_log_axis,
    make_zero_axis,
    name_series,
    select_finite,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.report.figure import Trace
    from harness.report.study import Study

_ROW_PX, _MIB = 26, 1 << 20
# The metrics of each side, the most telling first.
_SIDES = {
    "device": ("device_peak_allocated", "device_peak_reserved", "device_used_delta"),
    "host": ("peak_memory", "peak_allocated"),
}
_PARTS = ("weight_memory", "gradient_memory", "optimizer_memory", "activation_memory")


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield the peaks of each side, time against the most telling of them all, and the parts of what training keeps."""
    sides = {side: found for side, metrics in _SIDES.items() if (found := _found(study, metrics))}
    for side, found in sides.items():
        yield _peaks(study, side, found)
    for side, found in list(sides.items())[:1]:
        yield from _against_time(study, side, *next(iter(found.items())))
    if parts := _found(study, _PARTS):
        yield _stacked(study, parts)


def _found(study: Study, metrics: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Return the cases that have some metrics, by the label of each metric."""
    return {find_metric(metric).label: rows for metric in metrics if len(rows := select_finite(study.values(metric)))}


def _peaks(study: Study, side: str, found: dict[str, pd.DataFrame]) -> Figure:
    everything = pd.concat([rows["median"] for rows in found.values()])
    axis, edge = make_zero_axis(make_log_axis(f"peak memory of the {side}", everything, "B"), everything)
    drawn = {}
    for name, rows in found.items():
        hover = [f"{_where(study, row)}: {format_value(row.median, 'B')}, {name}" for row in rows.itertuples()]
        x = rows["median"].clip(lower=edge)
        drawn[name] = rows.assign(x=x, y=rows["question"].map(escape_text), hover=hover)
    questions = list(dict.fromkeys(study.cases["question"].map(escape_text)))
    rows_axis = {"categoryorder": "array", "categoryarray": questions[::-1], "automargin": True}
    return Figure(f"memory-{side}", draw_points(study, drawn), {"xaxis": axis, "yaxis": rows_axis}, row_px=_ROW_PX)


def _where(study: Study, row: Any) -> str:
    return escape_text(f"{name_series(study, row)}, {row.question}")


def _against_time(study: Study, side: str, name: str, peaks: pd.DataFrame) -> Iterator[Figure]:
    """Yield time against memory, where a point has several implementations with both."""
    times = study.values(PRIMARY)["median"].rename("y")
    rows = peaks.join(times, how="inner")
    if not rows.duplicated(["question", "run"]).any():
        return
    axis, edge = make_zero_axis(make_log_axis(f"{name}, {side}", rows["median"], "B"), rows["median"])
    hover = [
        f"{_where(study, row)}: {format_value(row.y, 's')} with {format_value(row.median, 'B')}"
        for row in rows.itertuples()
    ]
    rows = rows.assign(x=rows["median"].clip(lower=edge), hover=hover)
    layout = {"xaxis": axis, "yaxis": make_log_axis("time of a step", rows["y"], "s")}
    yield Figure(f"memory-{side}-time", [*draw_links(rows), *draw_points(study, {name: rows})], layout)


def _stacked(study: Study, parts: dict[str, pd.DataFrame]) -> Figure:
    """Return the parts of each case, one after the other."""
    labels = {row.Index: _where(study, row) for rows in parts.values() for row in rows.itertuples()}
    traces: list[Trace] = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "x": (rows["median"] / _MIB).tolist(),
            "y": rows.index.map(labels).tolist(),
            "marker": {"color": colour},
            "hovertext": [f"{labels[row.Index]}: {format_value(row.median, 'B')}, {name}" for row in rows.itertuples()],
            "hoverinfo": "text",
            "meta": {"cases": rows.index.tolist()},
        }
        for colour, (name, rows) in zip(COLOURS, parts.items(), strict=False)
    ]
    x = {"title": {"text": "what training keeps, MiB"}}
    y = {"categoryorder": "array", "categoryarray": list(labels.values())[::-1], "automargin": True}
    layout = {"barmode": "stack", "legend": {"traceorder": "normal"}, "xaxis": x, "yaxis": y}
    return Figure("memory-parts", traces, layout, row_px=_ROW_PX)
