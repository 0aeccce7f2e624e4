"""Small plots of text: bars with intervals, histograms and trends, which a terminal shows and a pipe keeps."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text

from harness.core.metric import format_number, format_value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOCKS = "▁▂▃▄▅▆▇█"
# The whole height of a trend is at least this share of its middle: noise should not look like mountains.
_HEIGHT = 0.1
# Where the longest is more than so many times the shortest, a scale from zero would show nothing of the short ones.
_LOG_FROM = 20.0
# How far beyond the medians a scale goes for the sake of wide intervals.
_BEYOND = 2.0
# Values further from the middle half than so many times its width are counted, and not drawn.
_FENCE = 3.0
_FEWEST = 8
# Cells of a histogram: rounds are some dozens, and more cells would show each alone.
_CELLS = 40


@dataclass(frozen=True)
class Bar:
    """A value with its interval, whose ends are NaN where there is none, and how it is written."""

    name: str
    value: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class Scale:
    """Where values lie along a line: from zero, or by their logarithms."""

    low: float
    high: float
    log: bool

    def at(self, value: float, cells: int) -> int:
        """Return the cell of a value, the nearest where it lies beyond an end."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, max(value, self.low)))
        share = (value - low) / (high - low) if high > low else 0.5
        return max(0, min(cells - 1, round(share * (cells - 1))))


def draw_sparkline(values: Sequence[float], width: int) -> str:
    """Draw values as blocks; where there are more than fit, neighbours share one at their median."""
    if len(values) > width:
        edges = [len(values) * index // width for index in range(width + 1)]
        values = [statistics.median(values[start:end]) for start, end in pairwise(edges)]
    middle = (min(values) + max(values)) / 2
    height = max(max(values) - min(values), _HEIGHT * abs(middle)) or 1.0
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[round(top * (0.5 + (value - middle) / height))] for value in values)


def _scale_of(bars: Sequence[Bar]) -> Scale:
    """Return the scale that all bars of a group share."""
    shortest, longest = min(bar.value for bar in bars), max(bar.value for bar in bars)
    high = min(max(_finite(bar.high, bar.value) for bar in bars), _BEYOND * longest)
    if longest <= _LOG_FROM * shortest:
        return Scale(0.0, high, log=False)
    return Scale(max(min(_finite(bar.low, bar.value) for bar in bars), shortest / _BEYOND), high, log=True)


def draw_bar_chart(bars: Sequence[Bar], unit: str, width: int) -> Text:
    """Draw values with their intervals on one scale: from zero, or a logarithmic one, which the first line says."""
    scale, names = _scale_of(bars), fit_names([bar.name for bar in bars], width)
    aside = max(len(bar.text) for bar in bars)
    indent = cell_len(names[0])
    cells = max(_FEWEST, width - indent - aside - 4)
    spread = max(bar.value for bar in bars) / min(bar.value for bar in bars)
    said = f", log scale: the longest is {format_number(spread)} times the shortest" if scale.log else ""
    lines = [
        Text.assemble(name, "  ", _bar(bar, scale, cells), "  ", bar.text.rjust(aside))
        for name, bar in zip(names, bars, strict=True)
    ]
    low, high = ("0" if value == 0 else format_value(value, unit) for value in (scale.low, scale.high))
    axis = f"{' ' * indent}  {low}{high.rjust(cells - len(low))}"
    return Text("\n").join([Text(f"time with its interval{said}"), *lines, Text(axis, style="dim")])


def draw_histogram(name: str, launches: Sequence[Sequence[float]], unit: str, width: int) -> Text:
    """Draw how values of all launches are spread, on a scale of their own, and the median of each launch below it."""
    values = sorted(value for launch in launches for value in launch)
    scale = _fenced(values)
    inside = [value for value in values if scale.low <= value <= scale.high]
    low, high = format_value(scale.low, unit), format_value(scale.high, unit)
    note = f"  {len(values)} rounds" + (f", {len(values) - len(inside)} beyond" if len(inside) < len(values) else "")
    before = f"{name}  {low.rjust(8)} "
    cells = max(_FEWEST, min(_CELLS, width - cell_len(before) - 1 - max(8, len(high)) - len(note)))
    counts = _counts(inside, scale, cells)
    most = max(counts)
    drawn = "".join(BLOCKS[math.ceil(count / most * len(BLOCKS)) - 1] if count else " " for count in counts)
    below = _marks([statistics.median(launch) for launch in launches], scale, cells)
    return Text.assemble(
        before, (drawn, "cyan"), f" {high.ljust(8)}", (note, "dim"), "\n", " " * cell_len(before), below
    )


def draw_scaling(
    axis: str, points: Sequence[float], lines: Mapping[str, Sequence[float]], unit: str, width: int
) -> Text:
    """Draw values over an axis: some of the numbers, a trend on a common log scale, and the power that fits best.

    Args:
        axis: its name.
        points: its values, in order.
        lines: by name, a value for each point; NaN where there is none.
        unit: of the values.
        width: what may be used of a line.
    """
    known = [value for line in lines.values() for value in line if value > 0]
    scale, drawn = Scale(min(known), max(known), log=True), _evenly(len(points), min(len(points), width // 4))
    trends = [_trend([line[index] for index in drawn], scale) for line in lines.values()]
    powers = [_power(points, line) for line in lines.values()]
    notes = [f"  {axis}^{power:.2f}" if math.isfinite(power) else "" for power in powers]
    columns = [
        _aligned([f"{point:g}", *(_cell(line[index], unit) for line in lines.values())])
        for index, point in enumerate(points)
    ]
    names = fit_names(["", *lines], width)
    room = width - cell_len(names[0]) - len(drawn) - 2 - max(map(len, notes))
    shown = [columns[index] for index in _fitting([len(column[0]) for column in columns], room)]
    head, *rows = ("".join(parts) for parts in zip(names, *shown, strict=True))
    ends = zip(rows, trends, notes, strict=True)
    drawings = [Text.assemble(row, "  ", (trend, "cyan"), note) for row, trend, note in ends]
    return Text("\n").join([Text(head, style="dim"), *drawings])


def _bar(bar: Bar, scale: Scale, cells: int) -> Text:
    """Draw one value: a bar that begins at zero, or where there is no zero a leader, and the interval about its end."""
    at = scale.at(bar.value, cells)
    low, high = (scale.at(_finite(end, bar.value), cells) for end in (bar.low, bar.high))
    ends = "<" if bar.low < scale.low else "├", ">" if bar.high > scale.high else "┤"
    drawn = list(("·" if scale.log else "█") * low + "─" * (high - low) + " " * (cells - high))
    drawn[low], drawn[high] = ends if low < high else ("●", "●")
    drawn[at] = "●"
    return Text.assemble(("".join(drawn[:low]), "dim" if scale.log else "blue"), "".join(drawn[low:]))


def _fenced(values: Sequence[float]) -> Scale:
    """Return a scale without what is far out, so that one slow round does not press all others into one cell."""
    if len(values) < 4:
        return Scale(values[0], values[-1], log=False)
    first, _, third = statistics.quantiles(values)
    reach = _FENCE * (third - first) or math.inf
    inside = [value for value in values if first - reach <= value <= third + reach]
    return Scale(inside[0], inside[-1], log=False)


def _counts(values: Sequence[float], scale: Scale, cells: int) -> list[int]:
    counts = [0] * cells
    for value in values:
        counts[scale.at(value, cells)] += 1
    return counts


def _marks(values: Sequence[float], scale: Scale, cells: int) -> str:
    """Mark cells in which values are, with their number where it is more than one, and the side of those beyond."""
    marks = _counts([value for value in values if scale.low <= value <= scale.high], scale, cells)
    drawn = [" " if not mark else "▲" if mark == 1 else str(mark) if mark < 10 else "+" for mark in marks]
    before = "<" if min(values) < scale.low else ""
    return (before + "".join(drawn)[len(before) :]).rstrip() if max(values) <= scale.high else "".join(drawn) + ">"


def _trend(line: Sequence[float], scale: Scale) -> str:
    return "".join(BLOCKS[scale.at(value, len(BLOCKS))] if value > 0 else " " for value in line)


def _power(points: Sequence[float], line: Sequence[float]) -> float:
    """Return the power of the axis that a line grows with: the slope of the least squares of its logarithms."""
    known = [(math.log(x), math.log(y)) for x, y in zip(points, line, strict=True) if x > 0 and y > 0]
    if len(known) < 3:
        return math.nan
    return statistics.linear_regression(*zip(*known, strict=True)).slope


def _fitting(widths: Sequence[int], room: int) -> list[int]:
    """Return which columns to show: all, or the first, the last and as many evenly between them as fit; or none."""
    for count in range(len(widths), 1, -1):
        chosen = _evenly(len(widths), count)
        if sum(widths[index] for index in chosen) <= room:
            return chosen
    return []


def _evenly(of: int, count: int) -> list[int]:
    return [round(step * (of - 1) / (count - 1)) for step in range(count)]


def _aligned(cells: Sequence[str]) -> list[str]:
    most = max(map(len, cells))
    return [cell.rjust(most + 2) for cell in cells]


def _cell(value: float, unit: str) -> str:
    return format_value(value, unit) if math.isfinite(value) else "-"


def fit_names(names: Sequence[str], width: int) -> list[str]:
    """Return names cut or padded to one length, which is a third of the width at most."""
    most = min(max(map(cell_len, names)), width // 3)
    return [name + " " * (most - cell_len(name)) if cell_len(name) <= most else _cut(name, most) for name in names]


def _cut(name: str, cells: int) -> str:
    return set_cell_size(name, cells - 1) + "…"


def _finite(value: float, instead: float) -> float:
    return value if math.isfinite(value) else instead
