"""The columns that the terminal, Markdown and the page have of the same cases."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from html import unescape

import pytest

from harness.analysis.columns import COLUMNS, ERRORS, TIME, find_filled_columns, find_undeclared_metrics
from harness.analysis.rows import build_result_tables
from harness.core.metric import METRICS, Metric
from harness.core.run import Run
from harness.formats import markdown
from harness.report.panels import table
from harness.report.study import build_study
from harness.terminal.tables import print_tables

Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]
KEPT = Metric("kept", "1", "higher", "share that is kept", label="kept share")
AGED = Metric("aged", "1", None, "age")
EVERY = {metric.name: 3.0 for column in COLUMNS if column is not TIME for metric in column.metrics}


def text(html: str) -> str:
    return unescape(re.sub("<[^>]*>", "", html)).strip()


def page_of(run: Run) -> tuple[list[str], list[list[str]]]:
    """Return the heads of the page's table, and its cells."""
    (block,) = table.draw_panel(build_study([run]))
    html = block.render()
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    cells = [[text(cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows]
    return cells[0], cells[1:]


def markdown_of(run: Run) -> list[str]:
    written = markdown.write_markdown(run, build_result_tables(run)).text
    head = next(line for line in written.splitlines() if line.startswith("| implementation"))
    return [part.strip(" `") for part in head.strip("|").split("|")]


@pytest.fixture
def everything(record: Record, draw: Draw) -> Run:
    return record({"base": draw(1)}, extra={**EVERY, "kept": 0.98765, "aged": 4.0}, metrics=[KEPT, AGED])


def test_all_readers_have_the_columns_of_one_list(
    everything: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = [column.head for column in COLUMNS]
    assert page_of(everything)[0] == [
        *("implementation", "point", *heads, "kept share", "aged"),
        *("ratio", "status", "flags", "command"),
    ]
    brief = [head for head in heads if head not in ("items/s", "traffic", "cost/pass")] + ["kept share"]
    assert markdown_of(everything) == ["implementation", *brief, "status"]
    monkeypatch.setenv("COLUMNS", "300")
    print_tables(everything, build_result_tables(everything), 0)
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "implementation" in line]
    assert re.split(r"\s{2,}", line.strip()) == ["implementation", *brief]


def test_a_column_of_one_metric_is_called_as_the_metric_is() -> None:
    for column in COLUMNS:
        if len(column.metrics) == 1:
            assert column.head == column.metrics[0].label
    assert len({column.head for column in COLUMNS}) == len(COLUMNS)


@pytest.mark.parametrize("metric", ERRORS)
def test_every_kind_of_error_is_in_the_column_of_errors(record: Record, draw: Draw, metric: str) -> None:
    run = record({"base": draw(1)}, extra={metric: 1.5e-4})
    heads, (row,) = page_of(run)
    assert row[heads.index("error")] == "0.00015"
    assert "error" in markdown_of(run)


@pytest.mark.parametrize(
    ("extra", "brief"),
    [
        ({"flops_per_s": 1e9, "items_per_s": 7.0, "bytes_per_s": 8.0}, ["throughput"]),
        ({"items_per_s": 7.0, "bytes_per_s": 8.0}, ["items/s"]),
        ({"bytes_per_s": 8.0}, ["traffic"]),
    ],
)
def test_where_there_is_little_room_a_case_has_the_first_of_its_rates(
    record: Record, draw: Draw, extra: dict[str, float], brief: list[str]
) -> None:
    run = record({"base": draw(1)}, extra=extra)
    assert markdown_of(run) == ["implementation", "time", *brief, "status"]
    assert {METRICS[metric].label for metric in extra} <= set(page_of(run)[0])


def test_a_case_that_failed_has_no_time_and_an_error_that_is_no_number_is_a_finding(record: Record, draw: Draw) -> None:
    run = record({"base": draw(1), "other": "incorrect: no"}, extra={"max_abs_error": math.nan})
    (table,) = build_result_tables(run)
    found = {column.head: values for column, values in find_filled_columns(table.rows)}
    assert found["time"][1] is None
    heads, (base, _) = page_of(run)
    assert base[heads.index("error")] == "nan"


def test_a_metric_of_the_workload_is_explained_and_written_with_three_digits(everything: Run) -> None:
    heads, (row,) = page_of(everything)
    assert row[heads.index("kept share")] == "0.988"
    assert row[heads.index("aged")] == "4"
    (block,) = table.draw_panel(build_study([everything]))
    assert dict(block.values["heads"])["kept share"] == "share that is kept"


def test_numbers_that_nobody_declares_are_named_by_workload(record: Record, draw: Draw) -> None:
    run = record({"base": draw(1), "other": draw(2)}, extra={"kept": 1.0, "strays": 2.0}, metrics=[KEPT])
    (table,) = build_result_tables(run)
    assert find_undeclared_metrics(table.rows, run.metrics) == {"work": ["strays"]}
    assert find_undeclared_metrics(table.rows, {}) == {"work": ["kept", "strays"]}
