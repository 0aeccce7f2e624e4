"""How well ranks scale.

The throughput of all ranks over that of the baseline in one process at the same point, for each processor that they use
more: each GPU, or on the CPU each thread. At the line at 1 nothing is lost by dividing the work. Bars are 95 %
intervals. An open mark is of times under which cores were not free: ranks had more threads than there are cores, or
others were at work. It says nothing about scaling.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.core.metric import three_digits
from harness.report.figure import MUTED, Figure, error_bars, escape, finite, log_axis, looks
from harness.report.lines import lines_over

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.figure import Look, Trace
    from harness.report.lines import Line
    from harness.report.study import Study

_METRIC, _AXIS = "efficiency", "world_size"
# Flags of a time, ours or that of one process, which was not a case's own cores'.
_CONTENDED = {"contended_ranks", "contended", "stolen", "waiting"}


def draw(study: Study) -> Iterator[Figure]:
    """Yield efficiency over ranks, a line for each implementation at each point."""
    rows = finite(study.values(_METRIC))
    if rows.empty:
        return
    lines, known, flags = lines_over(study, rows, _AXIS, fewest=1), looks(study), _flags(study)
    traces = [_trace(line, known[tuple(line.rows.iloc[0][["implementation", "machine"]])], flags) for line in lines]
    ranks = sorted({at for line in lines for at in line.at})
    values = [1.0, *(value for line in lines for value, _ in line.at.values())]
    ticks = {"tickvals": ranks, "ticktext": [f"{one:g}" for one in ranks]}
    layout = {
        "xaxis": log_axis("ranks", [], "1") | ticks,
        "yaxis": log_axis("efficiency", values, "1"),
        "shapes": [{"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1, "y1": 1, "line": {"color": MUTED}}],
    }
    yield Figure("efficiency", traces, layout)


def _flags(study: Study) -> dict[int, set[str]]:
    """Return the warnings on each efficiency, by case."""
    mine = study.measurements[study.measurements["metric"] == _METRIC]
    return {int(case): set(flags.split(", ")) for case, flags in zip(mine["case"], mine["flags"], strict=True)}


def _trace(line: Line, look: Look, flags: dict[int, set[str]]) -> Trace:
    doubts = [sorted(flags[number] & _CONTENDED) for _, number in line.at.values()]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": line.name,
        "x": list(line.at),
        "y": [value for value, _ in line.at.values()],
        "error_y": error_bars(line.rows),
        "line": look.line,
        "marker": look.marker | {"symbol": [f"{look.symbol}{'-open' if doubt else ''}" for doubt in doubts]},
        "hovertext": [_hover(line, at, doubt) for at, doubt in zip(line.at, doubts, strict=True)],
        "hoverinfo": "text",
        "meta": {"cases": [number for _, number in line.at.values()]},
    }


def _hover(line: Line, ranks: float, doubts: list[str]) -> str:
    row = line.rows.iloc[list(line.at).index(ranks)]
    said = f"{line.name}, {ranks:g} ranks: {three_digits(row['median'])} {escape(row['provenance'])}"
    return f"{said}; no measure of scaling: {', '.join(doubts)}" if doubts else said
