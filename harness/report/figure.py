"""A figure as plotly.js reads it, and the looks that all figures of a report share."""

from __future__ import annotations

import html
import itertools
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.metric import format_value
from harness.core.trial import SKIPPED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import pandas as pd

    from harness.report.study import Study

Trace = dict[str, Any]

# Told apart by readers with any of the common deficiencies of colour vision, on white and on black alike;
# tests/report/test_figure.py simulates it. Symbols and dashes say the same once more.
COLOURS = ("#3354c9", "#e18e00", "#068258", "#a02b84", "#a06800", "#48aadd", "#c00537", "#9887ff")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
# Stand for the colours of the page's theme, wherever a figure has a colour.
INK, MUTED, BAND = "var(--ink)", "var(--muted)", "var(--band)"
# Of the symbols of a first, second, third and fourth value of the same cases.
_FILLINGS = ("", "-open", "-open-dot", "-dot")
# An interval is cut where it reaches this many times farther than all ratios; decades beyond the ends of such an axis.
_CUT, _EDGE = 4.0, 0.03
# Questions whose cases are joined by lines, and by lines with names; more would cover the points.
_MOST_LINKS, _MOST_NAMES = 12, 6


@dataclass(frozen=True)
class Figure:
    """One drawing.

    Text in a figure is pseudo-HTML to plotly.js, which knows ``<b>`` and ``<a>``: what comes from a run is escaped.

    A trace says of which cases it is, so that a page can filter it: ``meta = {"case": n}`` for a whole trace, or
    ``meta = {"cases": [...]}`` with one entry for each point (for a heat map, for each cell): a number, several that
    must all be shown, or None for what is always shown.

    Attributes:
        name: tells it from the other figures of its panel.
        data: the traces.
        layout: what it adds to the layout that all figures have.
        group: the question whose raw samples it shows; empty where it shows all.
        row_px: height of a row where the vertical axis has one for each case; 0 where it has no rows.
        toggles: by label, changes of the layout that a reader may switch on.
    """

    name: str
    data: list[Trace]
    layout: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    row_px: int = 0
    toggles: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Look:
    """How an implementation on a machine is drawn in every figure."""

    colour: str
    symbol: str
    dash: str

    @property
    def line(self) -> dict[str, Any]:
        """The line of a trace."""
        return {"color": self.colour, "dash": self.dash, "width": 2}

    @property
    def marker(self) -> dict[str, Any]:
        """The markers of a trace."""
        return {"color": self.colour, "symbol": self.symbol, "size": 8}


def choose_looks(study: Study) -> dict[tuple[str, str], Look]:
    """Return the look of each implementation on each machine: colours by the one, dashes by the other.

    What was skipped everywhere comes last, so that no colour is given twice while one is left to those that are drawn.
    """
    ran = study.cases[study.cases["status"] != SKIPPED]
    implementations = list(dict.fromkeys([*ran["implementation"], *study.cases["implementation"]]))
    machines = list(dict.fromkeys(study.cases["machine"]))
    found = {}
    for one, implementation in enumerate(implementations):
        # A colour that comes again has another symbol than before.
        colour, symbol = COLOURS[one % len(COLOURS)], SYMBOLS[(one + one // len(COLOURS)) % len(SYMBOLS)]
        for other, machine in enumerate(machines):
            dash = DASHES[(other if study.several else one) % len(DASHES)]
            found[implementation, machine] = Look(colour, symbol, dash)
    return found


def name_series(study: Study, row: pd.Series[Any] | Any) -> str:
    """Return what a legend calls an implementation: with its machine, where there are several."""
    return f"{row.implementation} on {row.machine}" if study.several else str(row.implementation)


def escape_text(text: str) -> str:
    """Return text that plotly.js shows as it stands; it takes ``<b>`` for markup, and has no entity for quotes."""
    return html.escape(text, quote=False)


def draw_error_bars(values: pd.DataFrame) -> dict[str, Any]:
    """Return the intervals of values with ``median``, ``ci_low`` and ``ci_high``; nothing where one is not known."""
    above, below = values["ci_high"] - values["median"], values["median"] - values["ci_low"]
    known = above.map(math.isfinite) & below.map(math.isfinite)
    return {
        "type": "data",
        "symmetric": False,
        "array": above.where(known, 0.0).tolist(),
        "arrayminus": below.where(known, 0.0).tolist(),
        "thickness": 1.5,
        "width": 3,
    }


def make_log_axis(title: str, values: Iterable[float], unit: str) -> dict[str, Any]:
    """Return a logarithmic axis over values, with ticks that are written with the prefixes of their unit."""
    ticks = _ticks([value for value in values if math.isfinite(value) and value > 0], binary=unit == "B")
    return {
        "title": {"text": title},
        "type": "log",
        "tickvals": ticks,
        "ticktext": [_tick(tick, unit) for tick in ticks],
    }


def make_ratio_axis(title: str, rows: pd.DataFrame) -> dict[str, Any]:
    """Return a logarithmic axis with 1 on it; what reaches far beyond all ratios is cut, and leaves them their room.

    Args:
        title: of the axis.
        rows: ratios, with ``median``, ``ci_low`` and ``ci_high``.
    """
    low, high = min(1.0, float(rows["median"].min())), max(1.0, float(rows["median"].max()))
    ends = [*rows["ci_low"].dropna(), *rows["ci_high"].dropna(), low, high]
    kept = [min(max(end, low / _CUT), high * _CUT) for end in ends]
    axis = make_log_axis(title, kept, "1")
    if kept == ends:
        return axis
    return axis | {"range": [math.log10(min(kept)) - _EDGE, math.log10(max(kept)) + _EDGE]}


def _tick(value: float, unit: str) -> str:
    if unit == "1":
        return f"{value:g}"
    number, _, prefixed = format_value(value, unit).partition(" ")
    return f"{float(number):g} {prefixed}"


def _ticks(values: Sequence[float], *, binary: bool) -> list[float]:
    """Return round numbers around values: powers of two of bytes; else 1, 2 and 5, or 1 alone over many decades.

    Of these, values that are near to each other may have none between them, and get even steps.
    """
    if not values:
        return []
    low, high = min(values), max(values)
    if binary:
        first, last = math.floor(math.log2(low)), math.ceil(math.log2(high))
        step = max(1, (last - first) // 6)
        ticks = [2.0**power for power in range(first, last + 1, step)]
    else:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        digits = (1, 2, 5) if last - first <= 3 else (1,)
        ticks = [digit * 10.0**power for power in range(first, last + 1) for digit in digits]
    return ticks if sum(low <= tick <= high for tick in ticks) > 1 else _even_ticks(low, high, binary=binary) or ticks


def _even_ticks(low: float, high: float, *, binary: bool) -> list[float]:
    """Return the multiples of a round number around two values; none where three digits would not tell them apart."""
    wanted = (high - low) / 2
    if wanted < high / 100:
        return []
    base = 2.0 if binary else 10.0
    power = base ** math.floor(math.log(wanted, base))
    step = power * max(digit for digit in ((1,) if binary else (1, 2, 5)) if digit * power <= wanted)
    return [step * count for count in range(math.floor(low / step), math.ceil(high / step) + 1)]


def select_finite(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the cases whose ``median`` is a number."""
    return rows[np.isfinite(rows["median"].astype(float))]


def draw_points(study: Study, found: Mapping[str, pd.DataFrame], *, bars: str = "") -> list[Trace]:
    """Return cases as points, an entry of the legend for each implementation.

    Symbols tell implementations apart once more, or machines where there are several.

    Args:
        study: that the cases are of.
        found: by what it is, cases with the columns ``x``, ``y`` and ``hover``; up to four values of the same cases are
            told apart by the filling of their symbols.
        bars: ``error_x`` or ``error_y``, where the intervals of ``median`` are drawn.
    """
    traces, known = list[Trace](), set[str]()
    for filling, rows in zip(_FILLINGS, found.values(), strict=False):
        for trace in _points(study, rows, filling, bars):
            traces.append(trace | {"showlegend": trace["name"] not in known})
            known.add(trace["name"])
    if study.several:
        symbols = _machine_symbols(study)
        drawn = {machine for rows in found.values() for machine in rows["machine"]}
        traces += [explain_symbol(symbol, machine) for machine, symbol in symbols.items() if machine in drawn]
    if len(found) > 1:
        traces += [explain_symbol(f"circle{filling}", name) for filling, name in zip(_FILLINGS, found, strict=False)]
    return traces


def _points(study: Study, rows: pd.DataFrame, filling: str, bars: str) -> Iterator[Trace]:
    symbols = _machine_symbols(study)
    groups = dict(iter(rows.groupby(["implementation", "machine"], sort=False)))
    for key, look in choose_looks(study).items():
        if key not in groups:
            continue
        mine, name = groups[key], escape_text(key[0])
        symbol = symbols[key[1]] if study.several else look.symbol
        trace = {
            "type": "scatter",
            "mode": "markers",
            "name": name,
            "legendgroup": name,
            "x": mine["x"].tolist(),
            "y": mine["y"].tolist(),
            "marker": look.marker | {"symbol": symbol + filling},
            "hovertext": mine["hover"].tolist(),
            "hoverinfo": "text",
            "meta": {"cases": mine.index.tolist()},
        }
        yield trace | ({bars: draw_error_bars(mine)} if bars else {})


def _machine_symbols(study: Study) -> dict[str, str]:
    return dict(zip(dict.fromkeys(study.cases["machine"]), itertools.cycle(SYMBOLS), strict=False))


def explain_symbol(symbol: str, name: str) -> Trace:
    """Return an entry of the legend that says what a symbol or a filling stands for."""
    marker = {"color": MUTED, "symbol": symbol, "size": 8}
    nothing = {"x": [None], "y": [None], "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "markers", "name": escape_text(name), "marker": marker, **nothing}


def draw_links(rows: pd.DataFrame) -> list[Trace]:
    """Return lines that join the cases of each question on a machine, in the order of ``x``; none of too many."""
    found = [mine.sort_values("x") for _, mine in rows.groupby(["question", "machine"], sort=False) if len(mine) > 1]
    if not found or len(found) > _MOST_LINKS:
        return []
    lines = {
        "mode": "lines",
        "x": [value for mine in found for value in (*mine["x"].tolist(), None)],
        "y": [value for mine in found for value in (*mine["y"].tolist(), None)],
        "line": {"color": MUTED, "width": 1, "dash": "dot"},
        "meta": {"cases": [number for mine in found for number in (*mine.index.tolist(), None)]},
    }
    # Names are a trace of their own: plotly.js 4.1 loses texts of a line with gaps when it draws the line again.
    names = {
        "mode": "text",
        "x": [mine["x"].iloc[-1] for mine in found],
        "y": [mine["y"].iloc[-1] for mine in found],
        "text": [escape_text(mine["question"].iloc[-1]) for mine in found],
        "textposition": [_free_side(mine) for mine in found],
        "textfont": {"size": 10, "color": MUTED},
        "meta": {"cases": [mine.index[-1] for mine in found]},
    }
    plain = {"type": "scatter", "hoverinfo": "skip", "showlegend": False}
    return [plain | lines, plain | names] if len(found) <= _MOST_NAMES else [plain | lines]


def _free_side(rows: pd.DataFrame) -> str:
    """Return on which side of its last point a line is not."""
    return "top left" if rows["y"].iloc[-1] >= rows["y"].iloc[-2] else "bottom left"


def make_zero_axis(axis: dict[str, Any], values: pd.Series[float]) -> tuple[dict[str, Any], float]:
    """Return a logarithmic axis of values, with a tick at its lower end for zeros if there are any, and its place."""
    above = values[values > 0]
    edge = float(above.min()) / 10 if len(above) else 1.0
    if len(above) == len(values):
        return axis, edge
    ticks = zip(axis["tickvals"], axis["ticktext"], strict=True)
    kept = [(edge, "0"), *((value, text) for value, text in ticks if value > 2 * edge)]
    return axis | {"tickvals": [value for value, _ in kept], "ticktext": [text for _, text in kept]}, edge
