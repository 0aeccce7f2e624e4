"""Speeds over an axis whose values are no numbers: what a reader sees of them, in runs with known times."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from harness.core.run import Run
from harness.report.figure import COLOURS, Figure
from harness.report.html import Html
from harness.report.notebook import convert_to_plotly
from harness.report.page import render_page
from harness.report.panels import speed_up
from harness.report.study import Study, build_study

KINDS = ("chat", "code", "copying")
TIMES = {"base": (1e-3, 2e-3, 4e-3), "lookup": (0.5e-3, 2e-3, 1e-3), "draft": (2e-3, 1e-3, 8e-3)}


@pytest.fixture
def kinds(study_run) -> Any:
    """Return a function that writes a run over kinds of prompts."""
    return lambda times=TIMES, **how: study_run(times, sizes=KINDS, axis="prompts", **how)


def blocks(study: Study) -> tuple[Figure, dict[str, Any]]:
    figure, table = speed_up.draw_panel(study)
    assert isinstance(figure, Figure)
    assert isinstance(table, Html)
    convert_to_plotly(figure)
    return figure, table.values


def named(figure: Figure, name: str) -> dict[str, Any]:
    return next(trace for trace in figure.data if trace["name"] == name)


def texts(values: dict[str, Any], row: str) -> list[str]:
    cells = next(one["cells"] for one in values["rows"] if one["name"] == row)
    return [cell["text"] or cell["reason"] for cell in cells]


def flagged(run: Run, flags: str, where: Sequence[tuple[str, str]]) -> Run:
    """Return a run in which the times of some cases, by kind and implementation, have flags."""
    trials = [
        replace(one, samples=[replace(sample, flags=flags) for sample in one.samples])
        if (one.case.params["prompts"], one.case.implementation) in where
        else one
        for one in run.trials
    ]
    return replace(run, trials=tuple(trials))


def test_each_value_is_a_row_with_speeds_to_the_baseline_and_a_line_at_one(kinds) -> None:
    figure, _ = blocks(build_study([kinds()]))
    assert [trace["name"] for trace in figure.data] == ["lookup", "draft"]
    assert figure.layout["yaxis"]["categoryarray"] == [*KINDS, "geometric mean of 3"]
    assert named(figure, "lookup")["y"] == [*KINDS, "geometric mean of 3"]
    assert named(figure, "lookup")["x"][:3] == pytest.approx([2.0, 1.0, 4.0])
    assert named(figure, "draft")["x"][:3] == pytest.approx([0.5, 2.0, 0.5])
    assert [named(figure, name)["marker"]["color"] for name in ("lookup", "draft")] == list(COLOURS[1:3])
    assert [(shape["x0"], shape["x1"]) for shape in figure.layout["shapes"]] == [(1, 1)]
    assert figure.layout["xaxis"]["title"]["text"] == "speed / base"


def test_over_all_values_the_ratios_have_their_geometric_mean(kinds) -> None:
    figure, values = blocks(build_study([kinds()]))
    assert named(figure, "lookup")["x"][3] == pytest.approx(2.0)
    assert named(figure, "draft")["x"][3] == pytest.approx(0.5 ** (1 / 3))
    assert named(figure, "lookup")["meta"]["cases"] == [[1], [4], [7], [1, 4, 7]]
    assert values["rows"][-1]["cells"][0]["cases"] == "1 4 7"


def test_what_ends_a_time_ratio_from_above_ends_a_speed_from_below(kinds) -> None:
    study = build_study([kinds()])
    study.cases["ratio_low"], study.cases["ratio_high"] = study.cases["ratio"] * 0.5, study.cases["ratio"] * 1.25
    bars = named(blocks(study)[0], "lookup")["error_x"]
    assert bars["array"][:3] == pytest.approx([2.0, 1.0, 4.0])
    assert bars["arrayminus"][:3] == pytest.approx([0.4, 0.2, 0.8])


def test_the_fastest_of_a_row_is_bold_and_none_is_where_the_baseline_is(kinds) -> None:
    times = {"base": (1e-3, 1e-3, 1e-3), "lookup": (0.5e-3, 2e-3, 1e-3), "draft": (0.8e-3, 3e-3, 0.9e-3)}
    _, values = blocks(build_study([kinds(times)]))
    assert values["names"] == ["lookup", "draft"]
    bold = {row["name"]: [cell["best"] for cell in row["cells"]] for row in values["rows"]}
    assert [bold[kind] for kind in KINDS] == [[True, False], [False, False], [False, True]]


def test_what_failed_says_so_and_what_was_skipped_everywhere_has_no_column(kinds) -> None:
    times = {**TIMES, "broken": "crashed: signal 11", "heads": "skipped: no heads yet"}
    figure, values = blocks(build_study([kinds(times)]))
    assert values["names"] == ["lookup", "draft", "broken"]
    assert texts(values, "chat")[2] == "crashed"
    assert texts(values, "geometric mean of 3")[2:] == [""]
    assert "broken" not in [trace["name"] for trace in figure.data]


@pytest.mark.parametrize("ended", ["timeout", ""])
def test_there_is_no_mean_without_a_speed_at_every_value(kinds, ended: str) -> None:
    run = kinds()
    lost = [one for one in run.trials if (one.case.params["prompts"], one.case.implementation) != ("code", "draft")]
    failed = [replace(one, status=ended, samples=[]) for one in run.trials if one not in lost] if ended else []
    run = replace(run, trials=(*lost, *failed))
    figure, values = blocks(build_study([run]))
    assert named(figure, "draft")["y"] == ["chat", "copying"]
    assert named(figure, "lookup")["y"][-1] == "geometric mean of 3"
    assert texts(values, "code")[1] == ended


def test_a_speed_without_its_baseline_says_so(kinds) -> None:
    run = kinds()
    trials = [
        replace(one, status="oom", samples=[])
        if (one.case.params["prompts"], one.case.implementation) == ("code", "base")
        else one
        for one in run.trials
    ]
    _, values = blocks(build_study([replace(run, trials=tuple(trials))]))
    assert texts(values, "code") == ["no time of base beside it"] * 2


@pytest.mark.parametrize("whose", ["lookup", "base"])
def test_speeds_under_which_cores_were_not_free_are_open_and_in_parentheses(kinds, whose: str) -> None:
    figure, values = blocks(build_study([flagged(kinds(), "waiting", [("code", whose)])]))
    marks = [symbol.endswith("-open") for symbol in named(figure, "lookup")["marker"]["symbol"]]
    assert marks == [False, True, False, True]
    assert [texts(values, row)[0].startswith("(") for row in (*KINDS, "geometric mean of 3")] == marks
    assert "cores were not free: waiting" in named(figure, "lookup")["hovertext"][1]
    assert figure.data[-1]["name"] == "cores were not free"
    calm, _ = blocks(build_study([flagged(kinds(), "not_steady", [("code", whose)])]))
    assert [trace["name"] for trace in calm.data] == ["lookup", "draft"]


def test_machines_have_marks_and_columns_of_their_own(kinds) -> None:
    figure, values = blocks(build_study([kinds(cpu_model="X"), kinds(cpu_model="Y")]))
    assert values["names"] == ["lookup on X", "draft on X", "lookup on Y", "draft on Y"]
    assert len({trace["offsetgroup"] for trace in figure.data}) == 4
    assert named(figure, "lookup on Y")["x"][:3] == pytest.approx([2.0, 1.0, 4.0])


def test_an_axis_of_numbers_and_one_with_a_single_value_have_no_such_panel(study_run) -> None:
    assert list(speed_up.draw_panel(build_study([study_run(TIMES)]))) == []
    one = {name: times[:1] for name, times in TIMES.items()}
    assert list(speed_up.draw_panel(build_study([study_run(one, sizes=("chat",), axis="prompts")]))) == []


def test_a_baseline_alone_has_no_such_panel(kinds) -> None:
    assert list(speed_up.draw_panel(build_study([kinds({"base": TIMES["base"]})]))) == []


def test_an_interval_that_is_not_known_is_left_out(kinds) -> None:
    study = build_study([kinds()])
    study.cases[["ratio_low", "ratio_high"]] = math.nan
    figure, values = blocks(study)
    assert named(figure, "lookup")["error_x"]["array"][:3] == [0.0] * 3
    assert texts(values, "chat") == ["2.00", "0.500"]


def test_names_end_as_text(study_run) -> None:
    run = study_run({"base": (1e-3, 1e-3), "<b>bold": (1e-3, 1e-3)}, sizes=("<i>one", "<i>two"), axis="prompts")
    study = build_study([run])
    figure, _ = blocks(study)
    assert "<" not in str([[trace["name"], trace["y"], trace["hovertext"]] for trace in figure.data])
    page = render_page(study)
    assert not [name for name in ("<b>bold", "<i>one", "<i>two") if name in page]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_browser_draws_the_panel_and_its_table_follows_the_filter(
    kinds, opened, tmp_path: Path, *, width: int, dark: bool
) -> None:
    path = tmp_path / "page.html"
    path.write_text(render_page(build_study([kinds()])))
    found = opened(path, width=width, dark=dark)
    found.scroll()
    page = found.page
    assert "How much faster, kind by kind" in page.locator("h2").all_inner_texts()
    violations = Axe().run(page, "#speed-up").response["violations"]
    assert [one["id"] for one in violations if one["impact"] in ("serious", "critical")] == []
    rows = "#speed-up tbody tr:not([hidden]) th"
    assert page.locator(rows).all_inner_texts() == [*KINDS, "geometric mean of 3"]
    assert page.locator("#speed-up .scatterlayer .point").count() == 8
    page.evaluate("state.axes = { prompts: 'code' }; stateToForm(); update()")
    page.wait_for_timeout(400)
    assert page.locator(rows).all_inner_texts() == ["code"]
    assert page.locator("#speed-up .scatterlayer .point").count() == 2
    page.evaluate("state.axes = {}; state.impl = new Set(['base', 'draft']); stateToForm(); update()")
    page.wait_for_timeout(400)
    assert page.locator("#speed-up thead th:not([hidden])").all_inner_texts() == ["prompts", "draft"]
    assert page.locator(rows).count() == 4
    assert found.faults == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
