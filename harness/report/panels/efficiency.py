"""How well ranks scale.

The throughput of all ranks over that of the baseline in one process at the same point, for each processor that they use
more: each GPU, or on the CPU each thread. At the line at 1 nothing is lost by dividing the work. Bars are 95 %
intervals. An open mark is of times under which cores were not free: ranks had more threads than there are cores, or
others were at work. It says nothing about scaling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.efficiency import CONTENDED, EFFICIENCY, RANKS
from harness.core.metric import find_metric, format_number
from harness.report.axis_lines import find_lines
from harness.report.figure import (
    MUTED,
    Figure,
    choose_looks,
    draw_error_bars,
    escape_text,
    explain_symbol,
    make_log_axis,
    select_finite,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.axis_lines import AxisLine
    from harness.report.figure import Look, Trace
    from harness.report.study import Study


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield efficiency over ranks, a line for each implementation at each point."""
    rows = select_finite(study.values(EFFICIENCY))
    if rows.empty:
        return
    lines, known, flags = find_lines(study, rows, RANKS, fewest=1), choose_looks(study), _flags(study)
    traces = [_trace(line, known[tuple(line.rows.iloc[0][["implementation", "machine"]])], flags) for line in lines]
    if any(flags[int(case)] & CONTENDED for case in rows.index):
        traces.append(explain_symbol("circle-open", "cores were not free: no measure of scaling"))
    yield Figure("efficiency", traces, _layout(lines))


def _layout(lines: list[AxisLine]) -> dict[str, Any]:
    """Return the axes: an interval of a busy machine may reach far above all values, and is cut."""
    ranks = sorted({at for line in lines for at in line.at})
    highest = max(value for line in lines for value, _ in line.at.values())
    return {
        "xaxis": make_log_axis("ranks", [], "1") | {"tickvals": ranks, "ticktext": [f"{one:g}" for one in ranks]},
        "yaxis": {"title": {"text": find_metric(EFFICIENCY).label}, "range": [0, max(1.1, 1.2 * highest)]},
        "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": {"color": MUTED}}],
    }


def _flags(study: Study) -> dict[int, set[str]]:
    """Return the warnings on each efficiency, by case."""
    mine = study.measurements[study.measurements["metric"] == EFFICIENCY]
    return {int(case): set(flags.split(", ")) for case, flags in zip(mine["case"], mine["flags"], strict=True)}


def _trace(line: AxisLine, look: Look, flags: dict[int, set[str]]) -> Trace:
    doubts = [sorted(flags[number] & CONTENDED) for _, number in line.at.values()]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": list(line.at),
        "y": [value for value, _ in line.at.values()],
        "error_y": draw_error_bars(line.rows),
        "line": look.line,
        "marker": look.marker | {"symbol": [f"{look.symbol}{'-open' if doubt else ''}" for doubt in doubts]},
        "hovertext": [_hover(line, at, doubt) for at, doubt in zip(line.at, doubts, strict=True)],
        "hoverinfo": "text",
        "meta": {"cases": [number for _, number in line.at.values()]},
    }


def _hover(line: AxisLine, ranks: float, doubts: list[str]) -> str:
    row = line.rows.iloc[list(line.at).index(ranks)]
    said = f"{line.name}, {ranks:g} ranks: {format_number(row['median'])} {escape_text(row['provenance'])}"
    return f"{said}; no measure of scaling: {', '.join(doubts)}" if doubts else said
