"""How exact.

The error of each implementation against the float64 reference, and the time that it took; both axes are logarithmic,
and the lower left is exact and fast. Dotted lines join the implementations of a point. An error of exactly 0 has no
logarithm, and stands at the left edge, at the tick 0. How large an error the workload allows is not recorded, so that
no limit is drawn: an implementation that exceeded it has failed, and stands below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.columns import ERRORS
from harness.core.metric import PRIMARY, find_metric, format_value
from harness.report.figure import (
    Figure,
    draw_links,
    draw_points,
    escape_text,
    make_log_axis,
    make_zero_axis,
    name_series,
    select_finite,
)
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.study import Study

_RMS = "rms_error"


def draw_panel(study: Study) -> Iterator[Figure | Html]:
    """Yield time against error, and how many errors are exactly 0."""
    times = study.values(PRIMARY)["median"].rename("y")
    found = {}
    for metric in (*ERRORS, _RMS):
        rows = select_finite(study.values(metric)).join(times, how="inner")
        if len(rows):
            found[metric] = rows
    if not found:
        return
    yield _figure(study, found)
    zeros = {metric: int((rows["median"] == 0).sum()) for metric, rows in found.items() if metric != _RMS}
    notes = [
        f"The {find_metric(metric).label} is exactly 0 in {count} of {len(found[metric])} cases."
        for metric, count in zeros.items()
        if count
    ]
    if notes:
        yield Html("notes.html", {"notes": notes})


def _figure(study: Study, found: dict[str, pd.DataFrame]) -> Figure:
    errors = pd.concat([rows["median"] for rows in found.values()])
    times = pd.concat([rows["y"] for rows in found.values()])
    axis, edge = make_zero_axis(make_log_axis("error", errors, "1"), errors)
    drawn = {}
    for metric, rows in found.items():
        label = find_metric(metric).label
        hover = [_hover(study, row, label) for row in rows.itertuples()]
        drawn[label] = rows.assign(x=rows["median"].clip(lower=edge), hover=hover)
    # A case is joined to others by the first error that it has.
    first = pd.concat(drawn.values())
    joined = draw_links(first[~first.index.duplicated()])
    layout = {"xaxis": axis, "yaxis": make_log_axis("time of a step", times, "s")}
    return Figure("accuracy", [*joined, *draw_points(study, drawn)], layout)


def _hover(study: Study, row: Any, name: str) -> str:
    error = format_value(row.median, "1") if row.median else "exactly 0"
    return f"{escape_text(f'{name_series(study, row)}, {row.question}')}: {name} {error}, {format_value(row.y, 's')}"
