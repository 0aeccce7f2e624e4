"""Figures for a notebook, a paper or a README: the same that stand on the page, as Plotly's own objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from harness.core.errors import make_unknown_error
from harness.report.figure import BAND, INK, MUTED, Figure
from harness.report.gather import gather_study
from harness.report.panels import PANELS
from harness.store.gather import gather_runs
from harness.store.rules import read_rules

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.report.study import Study

# The light theme of the page (assets/page.css).
_THEME = {INK: "#1c2430", MUTED: "#5d6878", BAND: "rgba(93, 104, 120, 0.18)"}
_RULE = "#d9dee5"


def list_panels() -> list[str]:
    """Return the names of all panels, in their order on the page."""
    return [panel.__name__.rpartition(".")[2] for panel in PANELS]


def read_figures(panel: str, *words: str) -> dict[str, go.Figure]:
    """Return the figures of a panel for the runs that words mean; of merged folders, nothing can be drawn.

    Raises:
        UsageError: there is no such panel, or nothing can be read.
    """
    with gather_runs(words) as found:
        return draw_figures(
            gather_study([run.home for run in found.runs if not run.merged], rules=read_rules(None)), panel
        )


def draw_figures(study: Study, panel: str) -> dict[str, go.Figure]:
    """Return the figures of a panel by their names; of raw samples, one for each point.

    Raises:
        UsageError: there is no such panel.
    """
    if panel not in list_panels():
        raise make_unknown_error("panel", panel, list_panels())
    drawn = PANELS[list_panels().index(panel)].draw_panel(study)
    return {
        " ".join(filter(None, (figure.name, figure.group))): convert_to_plotly(figure)
        for figure in drawn
        if isinstance(figure, Figure)
    }


def draw_overview(study: Study) -> Iterator[tuple[str, go.Figure]]:
    """Yield every figure that is of all cases at once, with a name that can be a file's."""
    for name, panel in zip(list_panels(), PANELS, strict=True):
        for figure in panel.draw_panel(study):
            if isinstance(figure, Figure) and not figure.group:
                stem = figure.name if figure.name.startswith(name.replace("_", "-")) else f"{name}-{figure.name}"
                yield stem.replace("_", "-"), convert_to_plotly(figure)


def convert_to_plotly(figure: Figure) -> go.Figure:
    """Return a figure as Plotly's own object, in the light theme; Plotly checks every key and value of it."""
    found = go.Figure(data=_coloured(figure.data), layout=_coloured(figure.layout))
    axis = {"gridcolor": _RULE, "zerolinecolor": _RULE, "linecolor": _RULE, "automargin": True}
    found.update_xaxes(axis).update_yaxes(axis)
    found.update_layout(
        paper_bgcolor="white",
        plot_bgcolor="white",
        font={"color": _THEME[INK], "size": 13},
        margin={"l": 10, "r": 20, "t": 20, "b": 10},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        width=1000,
        height=figure.layout.get("height") or _height(figure),
    )
    return found


def _height(figure: Figure) -> int:
    rows = {row for trace in figure.data for row in trace["y"]} if figure.row_px else ()
    return 110 + figure.row_px * max(3, len(rows)) if figure.row_px else 460


def _coloured(value: Any) -> Any:
    """Return a specification with colours in place of their names."""
    if isinstance(value, dict):
        return {key: _coloured(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_coloured(item) for item in value]
    return _THEME.get(value, value) if isinstance(value, str) else value
