"""Figures in a notebook: the same as on the page, and valid for Plotly, which checks every key of them."""

from __future__ import annotations

import plotly.graph_objects as go
import pytest

import harness
from harness.core.errors import UsageError

TIMES = {"base": (1e-3, 4e-3, 16e-3), "new": (0.5e-3, 6e-3, 8e-3), "lost": "crashed: signal 11"}


def test_a_panel_gives_its_figures_in_one_call(study_run) -> None:
    run = study_run(TIMES)
    found = harness.figures("scaling", run.folder)
    assert list(found) == ["scaling-n"]
    figure = found["scaling-n"]
    assert isinstance(figure, go.Figure)
    assert [trace.name for trace in figure.data] == ["base", "new", "changes places"]
    assert list(figure.data[0].x) == [256, 512, 1024]
    assert "var(--" not in figure.to_json()


def test_a_value_of_zero_is_left_out_where_an_axis_is_logarithmic(study_run) -> None:
    run = study_run(TIMES, sizes=(0, 512, 1024))
    assert list(harness.figures("scaling", run.folder)["scaling-n"].data[0].x) == [512, 1024]


def test_every_panel_can_be_asked_for(study_run) -> None:
    run = study_run(TIMES, extra={"peak_memory": 1e6, "max_abs_error": 1e-4})
    from harness.report.notebook import list_panels

    drawn = {name: harness.figures(name, run.folder) for name in list_panels()}
    for name in ("forest", "heat_map", "scaling", "memory", "accuracy", "distributions", "timeline"):
        assert drawn[name], name
    assert drawn["table"] == {}
    assert len(drawn["distributions"]) >= 3


def test_a_panel_that_does_not_exist_has_the_nearest_named(study_run) -> None:
    run = study_run(TIMES)
    with pytest.raises(UsageError, match="did you mean 'forest'"):
        harness.figures("forrest", run.folder)
