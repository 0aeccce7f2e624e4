from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import statistics
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from harness.core.errors import UsageError
from harness.core.metric import PRIMARY
from harness.core.run import Run
from harness.formats.cells import format_interval
from harness.formats.exports import FORMATS, export_run, save_file
from harness.formats.markdown import write_code

HOSTILE = "=1+1|`id`\\|<b>*_x_* @all #1 [a](b)"


def times(run: Run, implementation: str) -> list[float]:
    mine = [trial for trial in run.trials if trial.case.implementation == implementation]
    return [sample.value for trial in mine for sample in trial.samples if sample.metric == PRIMARY]


def strict(text: str) -> Any:
    """Parse JSON as other languages do: without NaN."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def rows_of_csv(run: Run) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(export_run(run, "csv").text)))


def test_csv_has_a_row_for_each_case_and_metric_and_for_each_failure(run: Run) -> None:
    rows = rows_of_csv(run)
    assert list(rows[0]) == (
        "run_id group case workload implementation params status message metric unit n launches median ci_low ci_high "
        "ratio ratio_ci_low ratio_ci_high flags provenance".split()
    )
    assert [(row["implementation"], row["metric"], row["status"]) for row in rows] == [
        ("base", "time", "ok"),
        ("base", "max_abs_error", "ok"),
        ("base", "flops_per_s", "ok"),
        (f"'{HOSTILE}", "time", "ok"),
        (f"'{HOSTILE}", "max_abs_error", "ok"),
        ("broken", "", "error"),
        ("skips", "", "skipped"),
    ]
    time = rows[3]
    assert float(time["median"]) == statistics.median(times(run, HOSTILE))
    assert float(time["ratio_ci_low"]) < float(time["ratio"]) < float(time["ratio_ci_high"])
    assert (time["unit"], time["n"], time["launches"], time["flags"]) == ("s", "6", "2", "not_steady")
    assert json.loads(time["params"]) == {"n": 4, "causal": False, "dtype": "bf16"}
    assert rows[0]["ratio"] == rows[4]["ratio"] == rows[4]["ci_low"] == ""
    assert rows[6]["message"] == "needs CUDA"


def test_text_in_csv_is_one_line_and_no_formula(run: Run) -> None:
    text = export_run(run, "csv").text
    assert len(text.splitlines()) == 8
    rows = rows_of_csv(run)
    assert rows[5]["message"] == "'" + '@SUM(A1)  | a | `b` <img src=x> "q", done'
    assert not any(str(value).startswith(("=", "+", "-", "@")) for row in rows for value in row.values())


def test_json_holds_the_whole_run_and_null_for_what_is_no_number(run: Run) -> None:
    document = strict(export_run(run, "json").text)
    assert (document["run"]["run_id"], document["run"]["tags"]) == (run.id, {"k": "v"})
    assert document["environment"]["fingerprint"] == run.environment.fingerprint
    (group,) = document["groups"]
    base, other, broken, skips = group["rows"]
    assert base["ratio"] is None
    assert other["metrics"]["time"]["median"] == statistics.median(times(run, HOSTILE))
    assert other["metrics"]["max_abs_error"]["ci_low"] is None
    assert (other["implementation"], other["params"]["causal"]) == (HOSTILE, False)
    assert [trial["launch"] for trial in base["trials"]] == [0, 1]
    assert (broken["status"], broken["metrics"], broken["message"]) == ("error", {}, run.trials[2].message)
    assert (skips["status"], skips["trials"][0]["message"]) == ("skipped", "needs CUDA")
    assert "0.009" not in export_run(run, "json").text  # a raw sample


def rendered(text: str) -> tuple[list[list[str]], str]:
    """Render as GitHub does; return the text of every cell, and the HTML."""
    html = MarkdownIt("commonmark", {"html": True}).enable("table").render(text)
    rows = re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)
    return [[plain(cell) for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL)] for row in rows], html


def plain(html: str) -> str:
    return unescape(re.sub("<[^>]*>", "", html))


def test_markdown_shows_the_table_of_the_terminal(run: Run) -> None:
    header, base, other, broken, skips = rendered(export_run(run, "markdown").text)[0]
    assert header == ["implementation", "time", "time / base", "throughput", "error", "status"]
    assert base[:1] + base[2:4] == ["base", "", "1.82 GFLOP/s"]
    assert re.fullmatch(r"1\.10 ms (±|×÷).*", base[1])  # noqa: RUF001
    assert re.match(r"2\.0\d ", other[2])
    assert (broken[1], broken[-1], skips[-1]) == ("", "error", "skipped")


def test_text_of_others_stays_text_in_markdown(run: Run) -> None:
    rows, html = rendered(export_run(run, "markdown").text)
    assert {len(row) for row in rows} == {6}
    assert rows[2][0] == HOSTILE
    assert set(re.findall(r"</?(\w+)", html)) <= set("h3 table thead tbody tr th td ul li p code".split())
    message = next(line for line in html.splitlines() if "broken" in line and "<li>" in line)
    assert plain(message) == 'broken error: @SUM(A1) | a | `b` <img src=x> "q", done'
    # Mentions, numbers of issues and mathematics are no markup where there is code.
    assert all("@" not in part for part in re.sub(r"<code>.*?</code>", "", html, flags=re.DOTALL).split())


@pytest.mark.parametrize("name", ["a`", "`", "\\", "a\\", "a|", "$x$", "&lt;", "]](", "a\u202eb\ud800c", "```x", "_a_"])
def test_any_name_is_one_cell(name: str) -> None:
    (header, row), _ = rendered(f"| {write_code(name)} | b |\n| -- | -- |\n| {write_code(name)} | c |\n")
    wanted = "".join(c if c.isprintable() else " " for c in name)
    assert (header, row) == ([wanted, "b"], [wanted, "c"])


@pytest.mark.parametrize(("factor", "text"), [(1.0234, "±2.3%"), (1.5, "±50%"), (3.0, "×÷3.00")])  # noqa: RUF001
def test_an_interval_beyond_100_percent_is_a_factor(factor: float, text: str) -> None:
    assert format_interval(factor) == text


def test_pytest_benchmark_gets_each_case_with_its_times(run: Run) -> None:
    exported = export_run(run, "pytest-benchmark")
    document = strict(exported.text)
    assert [row.case.implementation for row in exported.left_out] == ["broken", "skips"]
    base, other = document["benchmarks"]
    assert (base["name"], base["group"]) == ("base[n=4,causal=false,dtype=bf16]", run.groups[0].id)
    assert other["params"] == {"n": 4, "causal": False, "dtype": "bf16"}
    assert other["stats"]["data"] == times(run, HOSTILE)
    stats = other["stats"]
    assert (stats["rounds"], stats["min"], stats["max"]) == (6, 2e-3, 9e-3)
    assert math.isclose(stats["ops"], 1 / statistics.mean(times(run, HOSTILE)))
    assert (stats["outliers"], stats["hd15iqr"], stats["ld15iqr"]) == ("1;1", 2.5e-3, 2e-3)
    assert stats["q1"] < stats["median"] < stats["q3"]
    assert document["machine_info"]["node"] == run.environment.host
    assert document["commit_info"]["dirty"] is run.environment.git_dirty


def test_pytorch_gets_a_record_for_each_metric_with_a_value_for_each_launch(run: Run) -> None:
    exported = export_run(run, "pytorch-v3")
    records = strict(exported.text)
    assert [row.case.implementation for row in exported.left_out] == ["broken", "skips"]
    assert [record["metric"]["name"] for record in records[:3]] == ["time", "max_abs_error", "flops_per_s"]
    time, error, rate = (record["metric"] for record in records[:3])
    assert time["benchmark_values"] == [1.1e-3, 1.1e-3]
    assert (error["benchmark_values"], len(rate["benchmark_values"])) == ([1e-7], 1)
    other = next(record for record in records if record["model"]["backend"] == HOSTILE)
    assert other["model"]["name"] == run.groups[0].id
    assert other["benchmark"]["dtype"] == "bf16"
    for record in records:
        extras = [record["benchmark"], record["metric"], *record["runners"]]
        assert all(isinstance(value, str) for part in extras for value in part["extra_info"].values())
        assert record["dependencies"]["torch"]["version"] == run.environment.packages["torch"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_run_without_a_result_is_shown_where_there_is_a_place_for_it(failed_run: Run, name: str) -> None:
    if name in ("csv", "json", "markdown"):
        assert "needs CUDA" in export_run(failed_run, name).text
    else:
        with pytest.raises(UsageError, match=f"has no case with a result that {name} could show"):
            export_run(failed_run, name)


def test_an_unknown_format_is_named_with_the_nearest(run: Run) -> None:
    with pytest.raises(UsageError, match="unknown format 'markdwon'; did you mean 'markdown'"):
        export_run(run, "markdwon")


def test_a_file_is_replaced_whole_and_what_is_no_file_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("old and longer")
    (tmp_path / "link").symlink_to("out")
    save_file(b"new", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "out").read_text() == "new"
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    save_file(b"new", tmp_path / "pipe")
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "out", "pipe"]


@pytest.mark.parametrize("name", ["nowhere/out", ".", "out/of/order"])
def test_what_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "out").write_text("old")
    with pytest.raises(UsageError, match="cannot write to"):
        save_file(b"new", tmp_path / name)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("out", "old")]
