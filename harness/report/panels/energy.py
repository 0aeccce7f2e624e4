"""How much energy.

The energy of one step; the bar is its 95 % interval, with what the meter itself leaves uncertain. Energy is all that
the device drew meanwhile (gross); net energy is less what it draws when idle. Below, energy against time: along a
dashed line, energy times delay (EDP) is the same, so that of two points on different lines the one on the lower line is
the better trade. What was not measured is listed with the reason, and is nowhere drawn as 0.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis.net_energy import GROSS
from harness.core.metric import PRIMARY, find_metric, format_value
from harness.formats.cells import format_interval
from harness.report.figure import MUTED, Figure, draw_points, escape_text, make_log_axis, name_series, select_finite
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.figure import Trace
    from harness.report.study import Study

_ROW_PX = 26
_NET = "energy_net"
_UNAVAILABLE, _NOT_WANTED = "unavailable: ", "unavailable: not asked for"
_SOME = "in some launch"
# Cases of one reason that are named.
_NAMED = 8
# The product of energy and delay.
_EDP = "J·s"
# Lines of it; those that begin up to this share of the width, and are as long as that, have space for a name.
_MOST_LINES, _NAMED_UNTIL, _NAMED_FROM = 7, 0.6, 0.25
# Where on a line its name stands, from its beginning.
_NAME_AT = 0.12


def draw_panel(study: Study) -> Iterator[Figure | Html]:
    """Yield energy, energy against time, and what was not measured."""
    found = {}
    for metric in (GROSS, _NET):
        name, rows = find_metric(metric).label, select_finite(study.values(metric))
        rows = rows[rows["median"] > 0]
        if len(rows):
            hover = [_hover(study, row, name) for row in rows.itertuples()]
            found[metric] = rows.assign(x=rows["median"], y=rows["question"].map(escape_text), hover=hover)
    if found:
        yield _joules(study, found)
        yield from _against_time(study, found.get(GROSS))
    if notes := list(_missing(study)):
        yield Html("notes.html", {"notes": notes})


def _hover(study: Study, row: Any, name: str) -> str:
    reach = f" {format_interval(row.ci_high / row.median)}" if math.isfinite(row.ci_high) else ""
    provenance = f"<br>{escape_text(row.provenance)}" if row.provenance else ""
    where = escape_text(f"{name_series(study, row)}, {row.question}")
    return f"{where}: {format_value(row.median, 'J')}{reach}, {name}{provenance}"


def _joules(study: Study, found: dict[str, pd.DataFrame]) -> Figure:
    ends = pd.concat([rows[column] for rows in found.values() for column in ("median", "ci_low", "ci_high")])
    questions = list(dict.fromkeys(study.cases["question"].map(escape_text)))
    rows_axis = {"categoryorder": "array", "categoryarray": questions[::-1], "automargin": True}
    layout = {"xaxis": make_log_axis("energy of a step", ends, "J"), "yaxis": rows_axis}
    return Figure("energy", draw_points(study, _by_label(found), bars="error_x"), layout, row_px=_ROW_PX)


def _against_time(study: Study, gross: pd.DataFrame | None) -> Iterator[Figure]:
    """Yield gross energy against time, with lines of the same energy times delay."""
    if gross is None:
        return
    times = study.values(PRIMARY)["median"].rename("x")
    rows = gross.drop(columns=["x", "y"]).join(times, how="inner").assign(y=gross["median"])
    if rows.empty:
        return
    hover = [f"{row.hover}<br>{format_value(row.x, 's')}, EDP {_edp(row.x * row.y)}" for row in rows.itertuples()]
    layout = {
        "xaxis": make_log_axis("time of a step", rows["x"], "s"),
        "yaxis": make_log_axis("energy of a step", rows["y"], "J"),
    }
    drawn = _by_label({GROSS: rows.assign(hover=hover)})
    yield Figure("energy-time", [*_iso(rows), *draw_points(study, drawn, bars="error_y")], layout)


def _by_label(found: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    return {find_metric(metric).label: rows for metric, rows in found.items()}


def _edp(product: float) -> str:
    return format_value(product, _EDP)


def _iso(rows: pd.DataFrame) -> Iterator[Trace]:
    """Yield a line for each power of ten of energy times delay, across the points."""
    left, right = rows["x"].min() / 2, rows["x"].max() * 2
    low, high = rows["y"].min() / 2, rows["y"].max() * 2
    products = rows["x"] * rows["y"]
    first, last = math.floor(math.log10(products.min())), math.ceil(math.log10(products.max()))
    for power in range(first, last + 1, 1 + (last - first) // _MOST_LINES):
        product = 10.0**power
        start, end = max(left, product / high), min(right, product / low)
        if start < end:
            width = math.log(right / left)
            named = math.log(start / left) < _NAMED_UNTIL * width and math.log(end / start) > _NAMED_FROM * width
            at = [start, start * (end / start) ** _NAME_AT, end]
            yield _iso_line(f"EDP {_edp(product)}" if named else "", product, at)


def _iso_line(name: str, product: float, at: list[float]) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers+text",
        "x": at,
        "y": [product / x for x in at],
        "line": {"color": MUTED, "width": 1, "dash": "dash"},
        "marker": {"size": 5, "opacity": 0},
        "text": ["", name, ""],
        "textposition": "top right",
        "textfont": {"size": 10, "color": MUTED},
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _missing(study: Study) -> Iterator[str]:
    """Yield a sentence for each reason for which there is no energy, with the cases that it holds for."""
    rows = study.values(GROSS)
    without = rows[rows["median"].isna() & (rows["provenance"] != _NOT_WANTED)]
    for provenance, mine in without.groupby("provenance", sort=False):
        reason = provenance.removeprefix(_UNAVAILABLE) if provenance.startswith(_UNAVAILABLE) else _SOME
        yield f"Not measured, {reason}: {_named(study, mine, len(rows))}."
    net = study.values(_NET)
    for row in net[net["median"] <= 0].itertuples():
        at_rest = f"{format_value(row.median, 'J')} net, no more than the device draws at rest"
        yield f"{name_series(study, row)}, {row.question}: {at_rest}."


def _named(study: Study, rows: pd.DataFrame, count: int) -> str:
    if len(rows) == count:
        return f"all {count} cases"
    names = [f"{name_series(study, row)}, {row.question}" for row in rows.head(_NAMED).itertuples()]
    more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
    return "; ".join(names) + more
