"""How many guesses are kept, and what they cost.

Above: the share of passes that keep the guess at each position after the last token; a chain of right guesses ends at
the first wrong one. Below: tokens that a pass adds to a text, over the time it takes with its guesses, relative to a
pass of one token. Along a line the one over the other, which is the speed-up, stays the same. Higher is better at the
same place; what is right of a line pays more for its guesses than it gains.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.core.metric import three_digits
from harness.report.figure import MUTED, Figure, escape, finite, looks, series_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness.report.figure import Look, Trace
    from harness.report.study import Study

_ACCEPTANCE, _TOKENS, _OVERHEAD = "acceptance", "tokens_per_step", "step_overhead"
_SPEED_UPS = (1.0, 1.5, 2.0, 3.0)
_MARGIN = 1.1  # of the axes beyond the farthest point


def draw(study: Study) -> Iterator[Figure]:
    """Yield the guesses kept by position, a figure for each question, and one of what they gain and cost."""
    kept, known = study.samples_of(_ACCEPTANCE), looks(study)
    layout = {
        "xaxis": {"title": {"text": "position of the guess"}, "dtick": 1},
        "yaxis": {"title": {"text": "share of passes that keep it"}, "range": [0, 1.02], "tickformat": ".0%"},
    }
    for question, cases in study.cases.loc[list(kept)].groupby("question", sort=False):
        traces = [
            _positions(row.Index, escape(series_name(study, row)), known[row.implementation, row.machine], kept)
            for row in cases.itertuples()
        ]
        yield Figure("acceptance", traces, layout, group=str(question))
    both = finite(study.values(_TOKENS)).join(finite(study.values(_OVERHEAD))["median"].rename("overhead"), how="inner")
    if len(both):
        yield _gain(study, both)


def _positions(case: Any, name: str, look: Look, kept: dict[Any, pd.DataFrame]) -> Trace:
    curve = kept[case]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": name,
        "legendgroup": name,
        "x": (curve["index"] + 1).tolist(),
        "y": curve["value"].tolist(),
        "line": look.line,
        "marker": look.marker,
        "hovertemplate": f"{name}, guess %{{x}}: %{{y:.1%}}<extra></extra>",
        "meta": {"case": int(case)},
    }


def _gain(study: Study, both: pd.DataFrame) -> Figure:
    known = looks(study)
    farthest = _MARGIN * max(both["overhead"].max(), 1.0)
    traces: list[Trace] = [_same(speed_up, farthest) for speed_up in _SPEED_UPS]
    for row in both.itertuples():
        name, look = escape(series_name(study, row)), known[row.implementation, row.machine]
        said = f"{three_digits(row.median)} tokens a pass, {three_digits(row.overhead)} times the time of one token"
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": name,
                "legendgroup": name,
                "x": [row.overhead],
                "y": [row.median],
                "marker": look.marker,
                "hovertext": [f"{name}, {escape(row.question)}: {said}"],
                "hoverinfo": "text",
                "meta": {"case": int(row.Index)},
            }
        )
    layout = {
        "xaxis": {"title": {"text": "time of a pass, relative to one token"}, "range": [0.9, farthest]},
        "yaxis": {"title": {"text": "tokens a pass"}, "range": [0.9, _MARGIN * both["median"].max()]},
    }
    return Figure("guesses", traces, layout)


def _same(speed_up: float, farthest: float) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": f"{speed_up:g} times the speed",
        "x": [0, farthest],
        "y": [0, speed_up * farthest],
        "line": {"color": MUTED, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
