"""How much memory.

The peak of one step, above its inputs, on an axis of powers of two. Host and device stand apart, and so do the metrics
of one side: each sees something else, partly the same bytes, so that no two may be added. Below, time against the peak:
dotted lines join the implementations of a point, and one that falls to the right is time bought with memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.core.metric import PRIMARY, format_value
from harness.report.figure import Figure, escape, finite, links, log_axis, points, series_name, zero_edge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.study import Study

_ROW_PX = 26
# The metrics of each side, the most telling first, and what they see.
_SIDES = {
    "device": {
        "device_peak_allocated": "live blocks of the allocator",
        "device_peak_reserved": "all that the allocator holds",
        "device_used_delta": "growth of the used memory",
    },
    "host": {"peak_memory": "resident memory", "peak_allocated": "live blocks of the allocator"},
}


def draw(study: Study) -> Iterator[Figure]:
    """Yield the peaks of each side, and time against the most telling of them all."""
    sides = {
        side: found
        for side, metrics in _SIDES.items()
        if (found := {name: rows for metric, name in metrics.items() if len(rows := finite(study.values(metric)))})
    }
    for side, found in sides.items():
        yield _peaks(study, side, found)
    for side, found in list(sides.items())[:1]:
        yield from _against_time(study, side, *next(iter(found.items())))


def _peaks(study: Study, side: str, found: dict[str, pd.DataFrame]) -> Figure:
    everything = pd.concat([rows["median"] for rows in found.values()])
    axis, edge = zero_edge(log_axis(f"peak memory of the {side}", everything, "B"), everything)
    drawn = {}
    for name, rows in found.items():
        hover = [f"{_where(study, row)}: {format_value(row.median, 'B')}, {name}" for row in rows.itertuples()]
        x = rows["median"].clip(lower=edge)
        drawn[name] = rows.assign(x=x, y=rows["question"].map(escape), hover=hover)
    questions = list(dict.fromkeys(study.cases["question"].map(escape)))
    rows_axis = {"categoryorder": "array", "categoryarray": questions[::-1], "automargin": True}
    return Figure(f"memory-{side}", points(study, drawn), {"xaxis": axis, "yaxis": rows_axis}, row_px=_ROW_PX)


def _where(study: Study, row: Any) -> str:
    return escape(f"{series_name(study, row)}, {row.question}")


def _against_time(study: Study, side: str, name: str, peaks: pd.DataFrame) -> Iterator[Figure]:
    """Yield time against memory, where a point has several implementations with both."""
    times = study.values(PRIMARY)["median"].rename("y")
    rows = peaks.join(times, how="inner")
    if not rows.duplicated(["question", "run"]).any():
        return
    axis, edge = zero_edge(log_axis(f"{name}, {side}", rows["median"], "B"), rows["median"])
    hover = [
        f"{_where(study, row)}: {format_value(row.y, 's')} with {format_value(row.median, 'B')}"
        for row in rows.itertuples()
    ]
    rows = rows.assign(x=rows["median"].clip(lower=edge), hover=hover)
    layout = {"xaxis": axis, "yaxis": log_axis("time of a step", rows["y"], "s")}
    yield Figure(f"memory-{side}-time", [*links(rows), *points(study, {name: rows})], layout)
