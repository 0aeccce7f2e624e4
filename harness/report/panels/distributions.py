"""How the samples spread.

At the top, the share of samples that took at most so long: the line further to the left is faster, and where lines
cross, neither always is. Below, every time of a step: a line of dots for each launch, in which height has no meaning,
with a bar at its median. Lines that lie apart are launches that disagree by more than their samples do. Each
implementation has an axis of its own, unless the box above the figure is ticked; the axis at the top is logarithmic
where the longest time is over four times the shortest. Of a case with over 600 samples, the least, the middle and the
largest of each of 200 stretches are drawn.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.metric import PRIMARY, format_value
from harness.report.figure import INK, Figure
from harness.report.samples import SECONDS, FigureRow, name_axis, order_samples, select_times, stack_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.report.figure import Trace
    from harness.report.samples import Floats, Integers, Taken
    from harness.report.study import Study

# Heights: of the lines at the top, of a launch, the least and the most of a row, between rows, and around them all.
_LINES_PX, _LAUNCH_PX, _LEAST_PX, _MOST_PX, _GAP_PX, _AROUND_PX = 190, 15, 36, 130, 42, 60
# Launches that have space for their numbers.
_NUMBERED = 9
# From here on, times that differ by a few per cent would lie on one another.
_LOG_FROM = 4.0
# Over less than this, a logarithmic axis has ticks at even steps.
_EVEN_BELOW = 9.0
# Steps of a line; more cannot be told apart on a screen.
_STEPS = 100
_GOLDEN = 0.6180339887


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield a figure for each question."""
    for question, cases in select_times(study, order_samples(study, [PRIMARY])).items():
        yield _figure(question, cases)


def _figure(question: str, cases: Sequence[Taken]) -> Figure:
    launches = sorted({launch for one in cases for launch in one.medians})
    common = SECONDS | _common(cases)
    shares = {"tickformat": ".0%", "range": [0, 1.02], "tickvals": [0, 0.25, 0.5, 0.75, 1]}
    rows = [
        FigureRow(
            "share of samples that took at most so long", _LINES_PX, [_line(one) for one in cases], shares, common
        )
    ]
    rows += [_strips(one, launches) for one in cases]
    traces, layout = stack_rows(rows, _GAP_PX, _AROUND_PX)
    axes = [name_axis(number, "xaxis") for number in range(len(rows))]
    toggles = {
        "one axis for all": {axis: {"matches": "x", "type": common.get("type", "linear")} for axis in axes[1:]},
        "axis from zero": {axis: {"type": "linear", "rangemode": "tozero", "nticks": 0} for axis in axes},
    }
    return Figure("distributions", traces, layout, group=question, toggles=toggles)


def _common(cases: Sequence[Taken]) -> dict[str, Any]:
    """Return the kind of the axis of all cases, with ticks that have space on a phone."""
    least, most = min(one.everything[0] for one in cases), max(one.everything[-1] for one in cases)
    if not most > _LOG_FROM * least > 0:
        return {}
    if most < _EVEN_BELOW * least:
        return {"type": "log", "nticks": 8}
    decades = range(math.floor(math.log10(least)), math.ceil(math.log10(most)))
    between = [_tick(digit * 10.0**power) for power in decades for digit in (2, 5)]
    # plotly.js leaves the unit out between powers of ten.
    return {"type": "log", "nticks": 3, "minorloglabels": "complete", "labelalias": {one: f"{one}s" for one in between}}


def _tick(seconds: float) -> str:
    """Write a time as d3 does in the format ``~s``."""
    thousands = math.floor(math.log10(seconds) / 3 + 1e-9)
    return f"{seconds / 1000.0**thousands:g}{'' if not thousands else 'k' if thousands > 0 else 'mµn'[-1 - thousands]}"


def _line(one: Taken) -> Trace:
    """Return the share of samples up to each time, in steps that are no finer than a screen."""
    count = len(one.everything)
    shares = np.linspace(1 / count, 1, min(count, _STEPS))
    return {
        "type": "scatter",
        "mode": "lines",
        "name": one.name,
        "legendgroup": one.name,
        "x": one.everything[np.ceil(shares * count - 1e-9).astype(int) - 1],
        "y": shares,
        "line": one.look.line | {"shape": "hv"},
        "hovertemplate": "%{y:.0%} took at most %{x:.4s}s",
        "meta": {"case": one.case},
    }


def _strips(one: Taken, launches: Sequence[int]) -> FigureRow:
    """Return the dots of a case, a line of them for each launch."""
    dots = {
        "type": "scatter",
        "mode": "markers",
        "name": one.name,
        "legendgroup": one.name,
        "showlegend": False,
        "x": one.seconds,
        "y": _heights(one.launches, launches),
        "marker": one.look.marker | {"size": 5, "opacity": 0.6},
        "hovertemplate": "%{x:.4s}s",
        "meta": {"case": one.case},
    }
    height_px = max(_LEAST_PX, min(_MOST_PX, _LAUNCH_PX * len(launches)))
    numbers = {"tickvals": list(range(len(launches))), "ticktext": [str(launch) for launch in launches]}
    y = {"range": [len(launches) - 0.4, -0.6], "showgrid": False, "zeroline": False, "tickfont": {"size": 9}}
    y |= numbers if len(launches) <= _NUMBERED else {"tickvals": []}
    return FigureRow(f"{one.name}, by launch", height_px, [dots, _medians(one, launches)], y, SECONDS | {"nticks": 6})


def _heights(own: Integers, launches: Sequence[int]) -> Floats:
    """Return where dots stand: about the line of their launch, spread by a sequence that is always the same."""
    heights: Floats = np.searchsorted(launches, own) + (np.arange(len(own)) * _GOLDEN % 1 - 0.5) * 0.7
    return heights


def _medians(one: Taken, launches: Sequence[int]) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "legendgroup": one.name,
        "showlegend": False,
        "x": list(one.medians.values()),
        "y": [launches.index(launch) for launch in one.medians],
        "marker": {"symbol": "line-ns", "size": 12, "line": {"color": INK, "width": 2}},
        "hovertext": [f"launch {launch}: median {format_value(median, 's')}" for launch, median in one.medians.items()],
        "hoverinfo": "text",
        "meta": {"case": one.case},
    }
