"""How the loss falls.

The loss at each step of training, the mean over some beginnings, before anything was timed. The band is the baseline's:
it spans the best and the worst of its beginnings at each step, which differ in nothing that matters. A line within it
learns as the baseline does, and one that leaves it, or stays behind, learns something else. What a method must come to
is judged by its check, and not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.core.metric import find_metric
from harness.report.figure import Figure, choose_looks, escape_text, name_series

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness.report.figure import Look, Trace
    from harness.report.study import Study

_MEAN, _LOW, _HIGH = "loss_curve", "loss_curve_low", "loss_curve_high"


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield a figure for each question that trains something."""
    mean, low, high = (study.samples_of(metric) for metric in (_MEAN, _LOW, _HIGH))
    known = choose_looks(study)
    layout = {"xaxis": {"title": {"text": "step"}}, "yaxis": {"title": {"text": find_metric("loss").label}}}
    for question, cases in study.cases.loc[list(mean)].groupby("question", sort=False):
        traces: list[Trace] = []
        for row in cases.itertuples():
            name, look = escape_text(name_series(study, row)), known[row.implementation, row.machine]
            if row.implementation == row.baseline and row.Index in low and row.Index in high:
                traces.append(_band(row.Index, name, look, low[row.Index], high[row.Index]))
            traces.append(_line(row.Index, name, look, mean[row.Index]))
        yield Figure("training", traces, layout, group=str(question))


def _line(case: Any, name: str, look: Look, curve: pd.DataFrame) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "x": (curve["index"] + 1).tolist(),
        "y": curve["value"].tolist(),
        "line": look.line,
        "hovertemplate": f"{name}, step %{{x}}: %{{y:.4f}}<extra></extra>",
        "meta": {"case": int(case)},
    }


def _band(case: Any, name: str, look: Look, low: pd.DataFrame, high: pd.DataFrame) -> Trace:
    """Return the area between the best and the worst beginning, drawn there along one and back along the other."""
    steps = (low["index"] + 1).tolist()
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "legendgroup": name,
        "showlegend": False,
        "x": [*steps, *steps[::-1]],
        "y": [*low["value"].tolist(), *high["value"].tolist()[::-1]],
        "fill": "toself",
        "fillcolor": look.colour,
        "opacity": 0.15,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "meta": {"case": int(case)},
    }
