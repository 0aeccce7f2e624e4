"""How many guesses are kept, and what they cost.

Above: the share of passes that keep the guess at each position after the last token; a chain of right guesses ends at
the first wrong one. Below: tokens that a pass adds to a text, over the time it takes with its guesses, relative to a
pass of one token. Along a dotted line the one over the other, which is the speed-up that stands at its end, stays the
same: a point to the right of the line at 1 pays more for its guesses than it gains. Shares are means over launches.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.core.metric import find_metric, format_number
from harness.report.figure import MUTED, Figure, choose_looks, draw_points, escape_text, name_series, select_finite

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness.report.figure import Look, Trace
    from harness.report.study import Study

_ACCEPTANCE, _TOKENS, _OVERHEAD = "acceptance", "tokens_per_step", "step_overhead"
_SPEED_UPS = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
# Of the axes beyond the farthest point.
_MARGIN = 1.1


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield the guesses kept by position, a figure for each question, and one of what they gain and cost."""
    kept, known = study.samples_of(_ACCEPTANCE), choose_looks(study)
    layout = {
        "xaxis": {"title": {"text": "position of the guess"}, "dtick": 1},
        "yaxis": {"title": {"text": "share of passes that keep it"}, "range": [0, 1.02], "tickformat": ".0%"},
    }
    for question, cases in study.cases.loc[list(kept)].groupby("question", sort=False):
        traces = [
            _positions(row.Index, escape_text(name_series(study, row)), known[row.implementation, row.machine], kept)
            for row in cases.itertuples()
        ]
        yield Figure("acceptance", traces, layout, group=str(question))
    both = select_finite(study.values(_TOKENS)).join(
        select_finite(study.values(_OVERHEAD))["median"].rename("overhead"), how="inner"
    )
    if len(both):
        yield _gain(study, both)


def _positions(case: Any, name: str, look: Look, kept: dict[Any, pd.DataFrame]) -> Trace:
    """Return the mean over launches; one that kept no guess so far out has kept none of them there."""
    curve = kept[case]
    shares = curve.groupby("index")["value"].sum() / curve["launch"].nunique()
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "legendgroup": name,
        "x": (shares.index + 1).tolist(),
        "y": shares.tolist(),
        "line": look.line,
        "marker": look.marker,
        "hovertemplate": f"{name}, guess %{{x}}: %{{y:.1%}}<extra></extra>",
        "meta": {"case": int(case)},
    }


def _gain(study: Study, both: pd.DataFrame) -> Figure:
    rows = both.rename(columns={"overhead": "x"}).assign(y=both["median"])
    rows = rows.assign(hover=[_hover(study, row) for row in rows.itertuples()])
    (left, right), (low, high) = _ends(rows["x"]), _ends(rows["y"])
    through = [one for one in _SPEED_UPS if one * left < high and one * right > low]
    lines = [_same(one, right, high, shown=one == through[0]) for one in through]
    layout = {
        "xaxis": {"title": {"text": find_metric(_OVERHEAD).label}, "range": [left, right]},
        "yaxis": {"title": {"text": find_metric(_TOKENS).label}, "range": [low, high]},
    }
    return Figure("guesses", [*lines, *draw_points(study, {"guesses": rows})], layout)


def _hover(study: Study, row: Any) -> str:
    tokens, overhead = find_metric(_TOKENS).label, find_metric(_OVERHEAD).label
    said = f"{format_number(row.y)} {tokens}, {overhead} {format_number(row.x)}"
    return f"{escape_text(name_series(study, row))}, {escape_text(row.question)}: {said}"


def _ends(values: pd.Series[float]) -> tuple[float, float]:
    """Return the ends of an axis that has a pass of one token on it."""
    return min(values.min(), 1.0) / _MARGIN, max(values.max(), 1.0) * _MARGIN


def _same(speed_up: float, right: float, high: float, *, shown: bool) -> Trace:
    """Return a line from the origin to an edge of the figure, with its speed-up at the end on the free side."""
    end = min(right, high / speed_up)
    return {
        "type": "scatter",
        "mode": "lines+text",
        "name": "the same speed-up",
        "legendgroup": "the same speed-up",
        "showlegend": shown,
        "x": [0, end],
        "y": [0, speed_up * end],
        "line": {"color": MUTED, "width": 1, "dash": "dot"},
        "text": ["", f"{speed_up:g}\N{MULTIPLICATION SIGN}"],
        "textposition": "top left" if end == right else "bottom right",
        "textfont": {"size": 11, "color": MUTED},
        "hoverinfo": "skip",
    }
