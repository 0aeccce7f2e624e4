"""The history on a page: a known step, a drift, an environment that is new, and the command that looks for a commit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import UsageError
from harness.core.rules import Rules
from harness.core.run import Run
from harness.report.figure import Figure
from harness.report.gather import gather_study
from harness.report.html import Html
from harness.report.panels import history
from harness.report.study import Study
from harness.report.write import write_report

RUNS, STEP = 16, 10
COMMITS = [f"{number:010x}".ljust(40, "0") for number in range(1, RUNS + 1)]


def recorded(record: Callable[..., Run], draw: Callable[..., Any], number: int, **machine: Any) -> Run:
    """A run of one commit: one case steps up by a tenth, and one climbs by 2 % from each to the next."""
    factors = {"base": 1.0, "stepped": 1.1 if number >= STEP else 1.0, "drifting": 1 + 0.02 * number}
    times = {
        name: draw(100 * number + place, factor, launches=2) for place, (name, factor) in enumerate(factors.items())
    }
    return record(times, git_commit=COMMITS[number], **machine)


@pytest.fixture
def runs(record: Callable[..., Run], draw: Callable[..., Any]) -> list[Run]:
    return [recorded(record, draw, number) for number in range(RUNS)]


def study_of(runs: list[Run], *shown: Run) -> Study:
    folders = [run.folder for run in shown or runs[-1:]]
    return gather_study(folders, rules=Rules(), results=runs[0].folder.parent, topology=COMMITS)


def drawn(study: Study) -> tuple[dict[str, Figure], dict[str, Any]]:
    found = list(history.draw_panel(study))
    figures = {one.layout["title"]["text"].split(" · ")[0]: one for one in found if isinstance(one, Figure)}
    (html,) = (one for one in found if isinstance(one, Html))
    return figures, html.values


def test_a_step_is_a_line_between_two_commits_with_its_size_and_the_command_that_looks_for_it(runs: list[Run]) -> None:
    figures, values = drawn(study_of(runs))
    figure = figures["stepped"]
    line = next(shape for shape in figure.layout["shapes"] if shape["type"] == "line")
    shade = next(shape for shape in figure.layout["shapes"] if shape["type"] == "rect")
    assert line["x0"] == line["x1"] == STEP - 0.5
    assert shade["x0"] <= STEP - 1 < STEP <= shade["x1"]
    (note,) = figure.layout["annotations"]
    assert note["text"].startswith("slower +")
    assert 0.08 < float(note["text"].split("+")[1].split("%")[0]) / 100 < 0.12
    said = next(one for one in values["changed"] if one["name"].startswith("stepped"))["said"]
    before, after = COMMITS[round(shade["x0"])][:10], COMMITS[round(shade["x1"])][:10]
    assert said[0]["command"] == f"bench bisect work --impl stepped --n 4 --against {before}..{after}"


def test_points_are_in_the_order_of_commits_with_their_intervals(runs: list[Run]) -> None:
    figures, _ = drawn(study_of(list(reversed(runs))))
    trace = figures["base"].data[0]
    assert [text.split("<br>")[1].split(",")[0] for text in trace["hovertext"]] == [one[:10] for one in COMMITS]
    assert all(length > 0 for length in [*trace["error_y"]["array"], *trace["error_y"]["arrayminus"]])
    assert figures["base"].layout["xaxis"]["title"]["text"] == "commit"


def test_a_drift_is_a_line_and_the_most_changed_come_first(runs: list[Run]) -> None:
    figures, values = drawn(study_of(runs))
    assert list(figures) == ["drifting", "stepped", "base"]
    low, high = figures["drifting"].data[1]["y"]
    assert 1.2 < high / low < 1.4
    assert figures["drifting"].layout["annotations"][0]["text"].startswith("drifts slower +")
    assert figures["base"].layout["title"]["subtitle"]["text"] == "stable"
    assert [one["name"].split(" · ")[0] for one in values["changed"]] == ["drifting", "stepped"]


def test_an_environment_that_is_new_is_marked_where_a_series_ends_and_begins(
    record: Callable[..., Run], draw: Callable[..., Any]
) -> None:
    runs = [recorded(record, draw, number, kernel="6" if number < 3 else "7") for number in range(6)]
    figures = [one for one in history.draw_panel(study_of(runs)) if isinstance(one, Figure)]
    ends = [figure for figure in figures if figure.layout["title"]["text"].startswith("base")]
    dotted = {shape["x0"] for figure in ends for shape in figure.layout["shapes"] if shape["line"].get("dash") == "dot"}
    assert dotted == {2.5, -0.5}
    _, values = drawn(study_of(runs))
    assert values["met"] == [f"{runs[3].id}: kernel: 6 -> 7"]


def test_without_a_history_or_with_one_run_there_is_nothing_to_draw(runs: list[Run]) -> None:
    assert list(history.draw_panel(gather_study([runs[0].folder], rules=Rules()))) == []
    assert list(history.draw_panel(gather_study([runs[0].folder], rules=Rules(), results=runs[0].folder))) == []


def test_what_changed_least_is_named_without_a_figure(runs: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_MOST", 1)
    figures, values = drawn(study_of(runs))
    assert list(figures) == ["drifting"]
    assert [name.split(" · ")[0] for name in values["rest"]] == ["stepped", "base"]


def test_what_cannot_be_read_is_named_and_a_run_counts_once(runs: list[Run], tmp_path: Path) -> None:
    torn = runs[2].folder / "samples.parquet"
    torn.write_bytes(torn.read_bytes()[:100])
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "run.json").write_text("[]")
    folders = [runs[0].folder, runs[0].folder, runs[2].folder, foreign]
    study = gather_study(folders, rules=Rules())
    assert [run.id for run in study.runs] == [runs[0].id]
    assert [reason.split(" ")[0].rstrip(":") for reason in study.left_out] == [
        str(runs[2].folder),
        str(foreign / "run.json"),
    ]
    with pytest.raises(UsageError, match=str(foreign)):
        gather_study([foreign], rules=Rules())


def test_a_browser_draws_the_history_of_what_the_filter_leaves(opened, runs: list[Run], tmp_path: Path) -> None:
    found = opened(write_report(study_of(runs), output=tmp_path / "page.html")[0])
    found.scroll()
    assert found.page.locator("#history .main-svg").count() >= 3
    assert "bench bisect work --impl stepped" in found.page.inner_text("#history pre")
    found.page.fill("[name=q]", "drifting")
    found.page.wait_for_timeout(500)
    found.scroll()
    (shown,) = found.page.locator("#history .plot:visible").all()
    assert shown.evaluate("plot => plot.data.map((trace) => trace.mode)") == ["lines+markers", "lines"]
    assert found.faults + found.foreign == []
