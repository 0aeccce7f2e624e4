"""How near to the roofs.

Operations of a step over time, against its operations for each byte of memory that it cannot do without, both as the
workload declares them. Nothing lies above the roofs, which were measured on the machine: the slope is what its memory
allows, a level is the fastest matrix product in a dtype. A point below the slope waits for memory at best, one below
the level for arithmetic; how far below is what is left to gain. Thin lines are what the maker states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.ceilings import find_datasheet
from harness.core.metric import format_number, format_value
from harness.report.figure import INK, MUTED, Figure, choose_looks, draw_points, escape_text, make_log_axis, name_series
from harness.report.html import Html
from harness.report.study import name_machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from harness.report.figure import Trace
    from harness.report.study import Study

# Roofs that lie as near as this would write over one another's names.
_SAME = 1.15
_FLOPS, _BYTES = "FLOP/s", "B/s"
# Of the figure, where its legend names the roofs of each machine.
_SEVERAL_PX = 520


@dataclass(frozen=True)
class _Roofs:
    """The roofs of one machine, as they were measured or as its maker states them.

    Attributes:
        flops: by dtype, those of the cases alone.
        named: whether the names of lines stand on them; else the legend has them all as one.
        slope_named: whether that of the memory does too; on two slopes side by side there is space for one.
    """

    name: str
    flops: dict[str, float]
    bytes: float
    line: dict[str, Any]
    named: bool
    slope_named: bool
    measured: bool


def draw_panel(study: Study) -> Iterator[Figure | Html]:
    """Yield the figure, and what is known of the roofs."""
    rows = study.values("time")
    rows = rows[(rows["flops"] > 0) & (rows["bytes"] > 0) & (rows["median"] > 0)]
    if rows.empty:
        return
    rows = rows.assign(x=rows["flops"] / rows["bytes"], y=rows["flops"] / rows["median"])
    shares = study.measurements[study.measurements["metric"] == "roof_share"].set_index("case")["median"]
    rows = rows.assign(share=shares.reindex(rows.index))
    rows = rows.assign(hover=[_hover(study, row) for row in rows.itertuples()])
    roofs = list(_roofs(study, rows))
    ridges = [peak / one.bytes for one in roofs for peak in one.flops.values() if one.bytes > 0]
    left, right = min([*rows["x"], *ridges]) / 4, max([*rows["x"], *ridges]) * 4
    lines = [line for one in roofs for line in _lines(one, left, right)]
    heights = [*rows["y"], *(height for line in lines for height in line["y"])]
    layout: dict[str, Any] = {
        "xaxis": make_log_axis("operations per byte", [left, right], "1"),
        "yaxis": make_log_axis("operations per second", heights, _FLOPS),
    }
    if study.several:
        layout["height"] = _SEVERAL_PX
    yield Figure("roofline", [*lines, *draw_points(study, {_FLOPS: rows})], layout)
    if notes := list(_notes(study)):
        yield Html("notes.html", {"notes": notes})


def _hover(study: Study, row: Any) -> str:
    reached = f", {row.share:.0%} of the roof" if math.isfinite(row.share) else ""
    where = f"{escape_text(name_series(study, row))}, {escape_text(row.question)}"
    return f"{where}: {format_value(row.y, _FLOPS)} at {format_number(row.x)} operations per byte{reached}"


def _roofs(study: Study, rows: pd.DataFrame) -> Iterator[_Roofs]:
    """Yield what was measured and what is stated of each machine, in the dtypes of its cases."""
    known, drawn = choose_looks(study), list[Any]()
    for run in study.runs:
        mine = rows[rows["run"] == run.id]
        if mine.empty:
            continue
        dtypes = set(mine["dtype"])
        dash = known[mine["implementation"].iloc[0], mine["machine"].iloc[0]].dash if study.several else "solid"
        where = f"{escape_text(study.labels[run.id])}, " if study.several else ""
        found, sheet = run.context.ceilings, find_datasheet(name_machine(run.environment, run.policy))
        if found and found not in drawn:
            flops = {dtype: peak for dtype, peak in found.flops_per_s.items() if dtype in dtypes and peak > 0}
            line = {"color": INK, "width": 1.5, "dash": dash}
            named = not study.several
            yield _Roofs(f"{where}measured", flops, found.bytes_per_s, line, named, named, measured=True)
        if sheet and sheet not in drawn:
            flops = {"bf16": sheet.bf16_flops_per_s} if "bf16" in dtypes else {}
            line = {"color": MUTED, "width": 1, "dash": dash if study.several else "dash"}
            named = not study.several
            yield _Roofs(f"{where}stated", flops, sheet.bytes_per_s, line, named, named and not found, measured=False)
        drawn += [found, sheet]


def _lines(roofs: _Roofs, left: float, right: float) -> Iterator[Trace]:
    """Yield the slope of memory up to the highest level that it carries, and the levels from there on."""
    slope = roofs.bytes if roofs.bytes > 0 else math.inf
    end = max(left, min(right, max(roofs.flops.values(), default=math.inf) / slope))
    if roofs.bytes > 0:
        name = f"memory {format_value(roofs.bytes, _BYTES)}"
        texts = [name if roofs.slope_named else "", ""]
        yield _line(roofs, name, [left, end], [slope * left, slope * end], texts, "bottom right")
    for names, peaks in _together(roofs.flops):
        for peak in peaks:
            text = names if peak == peaks[0] else ""
            yield _line(
                roofs,
                names,
                [max(left, peak / slope), right],
                [peak, peak],
                ["", text],
                "bottom left" if roofs.measured else "top left",
            )


def _together(flops: dict[str, float]) -> list[tuple[str, list[float]]]:
    """Return levels with their names, those together that are too near for a name each; the lowest first."""
    found = list[tuple[str, list[float]]]()
    for dtype, peak in sorted(flops.items(), key=lambda item: item[1]):
        name = f"{escape_text(dtype)} {format_value(peak, _FLOPS)}".strip()
        if found and peak < found[-1][1][0] * _SAME:
            before, peaks = found.pop()
            found.append((f"{before}, {name}", [*peaks, peak]))
        else:
            found.append((name, [peak]))
    return found


def _line(roofs: _Roofs, name: str, x: list[float], y: list[float], texts: Sequence[str], position: str) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers+text" if roofs.named else "lines",
        "name": roofs.name,
        "legendgroup": roofs.name,
        "x": x,
        "y": y,
        "line": roofs.line,
        "marker": {"size": 6, "opacity": 0},
        "text": [f"{roofs.name}, {part}" if part else "" for part in texts],
        "textposition": position,
        "textfont": {"size": 11, "color": roofs.line["color"]},
        "hovertext": f"{roofs.name}, {name}",
        "hoverinfo": "text",
        "showlegend": not roofs.named and name.startswith("memory"),
    }


def _notes(study: Study) -> Iterator[str]:
    """Yield where stated roofs come from, and how those that are missing are measured."""
    for machine in dict.fromkeys(name_machine(run.environment, run.policy) for run in study.runs):
        if sheet := find_datasheet(machine):
            stated = (
                f"bf16 {format_value(sheet.bf16_flops_per_s, _FLOPS)}, memory {format_value(sheet.bytes_per_s, _BYTES)}"
            )
            yield f"Stated by the maker of {sheet.device}: {stated} ({sheet.source})."
    missing = dict.fromkeys(study.labels[run.id] for run in study.runs if not run.context.ceilings)
    if missing:
        yield (
            f"The roofs of {' and of '.join(missing)} were not measured. `bench doctor --ceilings` measures and keeps "
            "them, and runs from then on are drawn under them."
        )
