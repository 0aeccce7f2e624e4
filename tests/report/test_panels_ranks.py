"""What a reader sees of ranks and of guesses, in runs with known numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.rows import build_result_tables
from harness.core.case import Case, Group, PlannedCase
from harness.core.suite import Policy
from harness.core.trial import OK, Launch, Sample, Trial
from harness.core.workload import Cost
from harness.formats import markdown
from harness.report.figure import Figure
from harness.report.html import Html
from harness.report.notebook import convert_to_plotly
from harness.report.page import render_page
from harness.report.panels import efficiency, guessing, scaling, table, time_split
from harness.report.study import Study, build_study
from tests.support.runs import recorded_run

# What a profile says of a step of two ranks.
SPLIT = {
    "forward_time": 2e-3,
    "backward_time": 5e-3,
    "optimizer_time": 1e-3,
    "exposed_communication_time": 3e-3,
    "communication_time": 4e-3,
    "overlap_share": 0.25,
}


@pytest.fixture
def study(tmp_path: Path) -> Callable[..., Study]:
    """Return a function that writes a run of `single` and `spread` on ranks and reads it back.

    ``times`` has the seconds of a step by ranks; one of them is `single`'s, in one process.
    """

    def write(
        times: Mapping[int, float],
        *,
        flags: Mapping[int, str] | None = None,
        extra: Mapping[str, float | list[float]] | None = None,
        cost: Cost | None = None,
        name: str = "spread",
    ) -> Study:
        groups, trials = [], list[Trial]()
        for ranks, seconds in times.items():
            case = Case("work", "single" if ranks == 1 else name, (("world_size", ranks), ("n", 4)))
            planned = PlannedCase(case, cost or Cost(flops=1e9), world_size=ranks)
            groups.append(Group(case.group, "single", (planned,)))
            for launch in range(2):
                flag = (flags or {}).get(ranks, "")
                samples = [Sample("time", seconds * (1 + 0.01 * turn), turn, 0, flag) for turn in range(3)]
                if ranks > 1 and launch == 0:
                    samples += [
                        Sample(metric, value, index=index)
                        for metric, found in (extra or {}).items()
                        for index, value in enumerate(found if isinstance(found, list) else [found])
                    ]
                trials.append(Trial(case, launch, OK, samples=samples))
        policy = Policy(launches=2, device="cpu", threads=4, mode="host")
        return build_study([recorded_run(tmp_path / "results", groups, [Launch(0, "", {}), *trials], policy=policy)])

    return write


def drawn(study: Study, panel: Any) -> dict[str, Figure]:
    """Return the figures of a panel by name; Plotly accepts each of them."""
    figures = {block.name: block for block in panel.draw_panel(study) if not isinstance(block, Html)}
    for figure in figures.values():
        convert_to_plotly(figure)
    return figures


def test_efficiency_is_a_line_over_ranks_with_one_at_which_nothing_is_lost(study) -> None:
    figure = drawn(study({1: 1e-3, 2: 1e-3, 4: 2e-3}), efficiency)["efficiency"]
    (line,) = figure.data
    assert (line["name"], line["x"]) == ("spread", [2, 4])
    assert line["y"] == pytest.approx([1.0, 0.5])
    assert [(shape["y0"], shape["y1"]) for shape in figure.layout["shapes"]] == [(1, 1)]


def test_points_whose_cores_were_not_free_are_open_and_say_why(study) -> None:
    found = study({1: 1e-3, 2: 1e-3, 4: 1e-3}, flags={4: "contended_ranks", 2: "not_steady"})
    line, meaning = drawn(found, efficiency)["efficiency"].data
    assert meaning["name"] == "cores were not free: no measure of scaling"
    assert [symbol.endswith("-open") for symbol in line["marker"]["symbol"]] == [False, True]
    assert ["no measure of scaling: contended_ranks" in text for text in line["hovertext"]] == [False, True]


def test_a_process_that_others_held_up_makes_every_efficiency_doubtful(study) -> None:
    line, _ = drawn(study({1: 1e-3, 2: 1e-3}, flags={1: "waiting"}), efficiency)["efficiency"].data
    assert line["marker"]["symbol"][0].endswith("-open")


def test_the_parts_of_a_step_are_stacked_and_its_overlap_stands_at_their_end(study) -> None:
    figure = drawn(study({1: 1e-3, 2: 1e-3}, extra=SPLIT), time_split)["time-split"]
    bars = {trace["name"]: trace["x"] for trace in figure.data if trace["type"] == "bar"}
    assert bars == {
        "forward time": [2e-3],
        "backward time": [5e-3],
        "optimizer time": [1e-3],
        "exposed communication time": [3e-3],
    }
    (words,) = [trace for trace in figure.data if trace["type"] == "scatter"]
    assert words["text"] == [" 25% of 4.00 ms overlapped"]
    assert words["x"] == pytest.approx([11e-3])
    assert figure.layout["barmode"] == "stack"


def test_a_step_that_does_not_communicate_has_no_overlap(study) -> None:
    extra = {"forward_time": 2e-3, "overlap_share": math.nan, "exposed_communication_time": math.nan}
    figure = drawn(study({1: 1e-3, 2: 1e-3}, extra=extra), time_split)["time-split"]
    assert [(trace["type"], trace["name"]) for trace in figure.data] == [("bar", "forward time")]


def test_bandwidth_has_a_figure_beside_that_of_time_where_ranks_exchange_something(study) -> None:
    cost = Cost(message_bytes=8e6, bus_bytes=1.2e7)
    figures = drawn(study({2: 1e-3, 4: 2e-3}, cost=cost), scaling)
    assert set(figures) == {"scaling-world_size", "scaling-world_size-bus"}
    (line,) = figures["scaling-world_size-bus"].data
    assert line["y"] == pytest.approx([1.2e7 / 1.01e-3, 1.2e7 / 2.02e-3])
    assert "11.9 GB/s" in line["hovertext"][0]
    assert set(drawn(study({2: 1e-3, 4: 2e-3}), scaling)) == {"scaling-world_size"}


def test_tables_have_what_crosses_a_link_and_an_efficiency_that_counts_for_nothing_in_parentheses(study) -> None:
    cost = Cost(flops=1e9, message_bytes=8e6, bus_bytes=1.2e7)
    (run,) = study({1: 1e-3, 2: 1e-3, 4: 2e-3}, flags={4: "contended_ranks"}, cost=cost).runs
    lines = markdown.write_markdown(run, build_result_tables(run)).text.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `spread`")]
    assert [(cell[3], cell[4]) for cell in cells] == [("11.9 GB/s", "1.00"), ("5.94 GB/s", "(0.500)")]


def test_large_places_on_an_axis_are_written_in_full(study) -> None:
    layout = drawn(study({4096: 1e-3, 16 << 20: 2e-3, (16 << 20) + 1: 2e-3}), scaling)["scaling-world_size"].layout
    assert layout["xaxis"]["ticktext"] == ["4096", "16m", "16777217"]


@pytest.mark.parametrize("panel", [efficiency, time_split])
def test_a_panel_without_data_is_absent(study, panel) -> None:
    assert drawn(study({2: 1e-3}), panel) == {}


@pytest.mark.parametrize("panel", [efficiency, time_split])
def test_names_end_as_text(study, panel) -> None:
    found = study({1: 1e-3, 2: 1e-3}, extra=SPLIT, name="<b>bold</b>")
    assert "<b>" not in str([figure.data for figure in drawn(found, panel).values()])
    assert "<b>bold" not in render_page(found)


def test_both_panels_are_drawn_by_a_browser(study, opened, tmp_path: Path) -> None:
    found = study({1: 1e-3, 2: 1e-3, 4: 1e-3}, extra=SPLIT, flags={4: "contended_ranks"})
    path = tmp_path / "page.html"
    path.write_text(render_page(found))
    page = opened(path)
    page.scroll()
    heads = page.page.locator("h2").all_inner_texts()
    assert "How well ranks scale" in heads
    assert "Where the time of a step goes" in heads
    assert page.page.get_by_text("25% of 4.00 ms overlapped").count() == 2
    assert page.faults == []


def test_guesses_are_drawn_by_position_and_what_they_gain_over_what_they_cost(study) -> None:
    extra = {"acceptance": [0.6, 0.3, 0.1], "tokens_per_step": 2.0, "step_overhead": 1.25}
    figures = drawn(study({1: 1e-3, 2: 1e-3}, extra=extra), guessing)
    (line,) = figures["acceptance"].data
    assert (line["name"], line["x"], line["y"]) == ("spread", [1, 2, 3], [0.6, 0.3, 0.1])
    *same, point = figures["guesses"].data
    assert (point["x"], point["y"]) == ([1.25], [2.0])
    said = [float(trace["text"][1].strip("\N{MULTIPLICATION SIGN}")) for trace in same]
    assert [trace["y"][1] / trace["x"][1] for trace in same] == pytest.approx(said)
    assert [trace["showlegend"] for trace in same] == [True] + [False] * (len(same) - 1)


def test_lines_of_equal_speed_up_end_at_an_edge_and_those_beyond_it_are_left_out(study) -> None:
    extra = {"tokens_per_step": 1.2, "step_overhead": 3.0}
    figure = drawn(study({1: 1e-3, 2: 1e-3}, extra=extra), guessing)["guesses"]
    *same, _ = figure.data
    left, right = figure.layout["xaxis"]["range"]
    low, high = figure.layout["yaxis"]["range"]
    assert (left, low) < (1.0, 1.0) < (right, high)
    assert [trace["text"][1][:-1] for trace in same] == ["0.5", "1"]
    assert all(trace["x"][1] == pytest.approx(right) or trace["y"][1] == pytest.approx(high) for trace in same)


def test_an_implementation_has_one_entry_in_the_legend_however_many_points_it_has(study) -> None:
    extra = {"tokens_per_step": 2.0, "step_overhead": 1.25}
    traces = drawn(study({1: 1e-3, 2: 1e-3, 4: 1e-3}, extra=extra), guessing)["guesses"].data
    (mine,) = [trace for trace in traces if trace["name"] == "spread"]
    assert (mine["x"], mine["meta"]) == ([1.25, 1.25], {"cases": [1, 2]})


def test_launches_that_keep_guesses_differently_are_one_line_of_means(study) -> None:
    found = study({1: 1e-3, 2: 1e-3}, extra={"acceptance": [0.6, 0.3]})
    row = found.samples[found.samples["metric"] == "acceptance"].iloc[0]
    found.samples.loc[len(found.samples)] = {**row, "launch": 1, "value": 0.2}
    (line,) = drawn(found, guessing)["acceptance"].data
    assert (line["x"], line["y"]) == ([1, 2], pytest.approx([0.4, 0.15]))


def test_the_table_has_rates_of_items_and_what_a_pass_gains_and_costs_with_three_digits(study) -> None:
    extra = {"tokens_per_step": 1.23456, "step_overhead": 1.5}
    (html,) = table.draw_panel(study({1: 1e-3, 2: 1e-3}, extra=extra, cost=Cost(items=16)))
    cells = [
        dict(zip((head for head, _ in html.values["heads"]), row["cells"], strict=True)) for row in html.values["rows"]
    ]
    assert [cell["items/s"][0] for cell in cells] == ["15.8 k", "15.8 k"]
    assert (cells[1]["tokens/pass"][0], cells[1]["cost/pass"][0]) == ("1.23", "1.50")
    assert cells[0]["tokens/pass"] == ("", "")


def test_the_table_has_efficiencies_in_parentheses_where_cores_were_not_free(study) -> None:
    (html,) = table.draw_panel(study({1: 1e-3, 2: 1e-3, 4: 1e-3}, flags={4: "contended_ranks"}))
    head = html.render().partition("<tbody>")[0]
    assert ">efficiency</button>" in head
    cells = [text for row in html.values["rows"] for text, _ in row["cells"]]
    assert {"1.00", "(1.00)"} <= set(cells)


def test_a_run_without_guesses_has_no_such_figure(study) -> None:
    assert drawn(study({1: 1e-3, 2: 1e-3}), guessing) == {}
