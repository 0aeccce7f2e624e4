from __future__ import annotations

import copy
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.rows import build_result_tables
from harness.core.case import Case
from harness.core.errors import UsageError
from harness.core.metric import PRIMARY
from harness.core.run import Run
from harness.core.trial import ERROR, OK, SKIPPED, Trial
from harness.formats.exports import export_run
from harness.formats.imports import Imported, import_files
from harness.store.read import read_run

# Recorded: pytest-benchmark 5.3.1 and google/benchmark 1.9.5 on one board, shortened.
PYTEST, GOOGLE = (
    json.loads(Path(__file__).with_name(f"{name}.json").read_text())
    for name in ("pytest_benchmark", "google_benchmark")
)
Change = Callable[[dict[str, Any]], object]


def written(path: Path, document: dict[str, Any], *changes: Change) -> Path:
    changed = copy.deepcopy(document)
    for change in changes:
        change(changed)
    path.write_text(json.dumps(changed))
    return path


def launches(folder: Path, document: dict[str, Any], count: int = 3) -> list[Path]:
    """Write the same results as that many invocations, at later times."""
    return [
        written(folder / f"{minute}.json", document, lambda d, m=minute: at(d, f"2026-11-24T17:3{m}:00+00:00"))
        for minute in range(count)
    ]


def at(document: dict[str, Any], time: str) -> None:
    if "context" in document:
        document["context"]["date"] = time
    else:
        document["datetime"] = time


def brought(results: Path, *paths: Path, tool: str = "auto") -> Imported:
    return import_files(paths, results, tool, ["bench", "import"])


def imported(results: Path, *paths: Path) -> Run:
    return read_run(brought(results, *paths).folder)


def trial_of(run: Run, implementation: str, **params: Any) -> Trial:
    (found,) = [
        trial
        for trial in run.trials
        if (trial.case.implementation, trial.case.params, trial.launch) == (implementation, params, 0)
    ]
    return found


def values(trial: Trial, metric: str = PRIMARY) -> list[float]:
    return [sample.value for sample in trial.samples if sample.metric == metric]


def test_pytest_benchmarks_become_cases_with_their_raw_values_in_turns(tmp_path: Path) -> None:
    run = imported(tmp_path / "results", *launches(tmp_path, PYTEST))
    assert (run.complete, run.policy.launches, len(run.trials)) == (True, 3, 21)
    assert [group.id for group in run.groups] == [
        "test_sorting[key=None,n=8]",
        "test_sorting[key=None,n=64]",
        "test_sorting[n=8]",
        "test_sorting[n=64]",
        "test_sorting[]",
        "test_more[param=thing0]",
        "test_more[x=1.5,flag=true,shape=[2, 3]]",
    ]
    trial = trial_of(run, "test_reversed", n=8)
    assert trial.case.point == (("n", 8),)
    shapes = trial_of(run, "test_shapes", x=1.5, flag=True, shape="[2, 3]")
    assert values(shapes) == PYTEST["benchmarks"][-1]["stats"]["data"]
    sizes = [[sample.round for sample in shapes.samples].count(turn) for turn in range(20)]
    assert (sum(sizes), set(sizes)) == (45, {2, 3})
    assert [sample.index for sample in shapes.samples[:4]] == [0, 1, 0, 1]
    assert trial_of(run, "TestThing::test_plain").status == OK


def test_machine_commit_and_time_come_along(tmp_path: Path) -> None:
    paths = launches(tmp_path, PYTEST)
    run = imported(tmp_path / "results", *paths[::-1])
    machine = run.environment
    assert (machine.host, machine.cpu_model, machine.cpus_online) == ("board", "AMD EPYC", 2)
    assert (machine.python, machine.packages["pytest-benchmark"]) == ("3.11.7", "5.3.1")
    assert (machine.git_commit, machine.git_dirty) == ("0123456789abcdef0123456789abcdef01234567", True)
    assert run.description.started_at == "2026-11-24T17:30:00.000+00:00"
    assert [launch.runtime for launch in run.description.launches] == [{"file": path.name} for path in paths[::-1]]
    assert run.description.tags == {"imported": "pytest-benchmark"}


def test_google_benchmarks_become_cases_whose_repetitions_are_rounds_in_seconds(tmp_path: Path) -> None:
    run = imported(tmp_path / "results", *launches(tmp_path, GOOGLE))
    assert {trial.case.workload for trial in run.trials} == {"bench_sums"}
    sums = trial_of(run, "BM_sum", n=8, m=1)
    real = [row["real_time"] for row in GOOGLE["benchmarks"][:3]]
    assert values(sums) == pytest.approx([value * 1e-9 for value in real])
    assert [sample.round for sample in sums.samples if sample.metric == "cpu_time"] == [0, 1, 2]
    assert 1e-7 < values(trial_of(run, "BM_plain", arg0=8))[0] < 1e-5  # written in microseconds
    assert trial_of(run, "BM_rt/process_time/real_time").status == OK
    failed, skipped = trial_of(run, "BM_err"), trial_of(run, "BM_skip")
    assert (failed.status, failed.message) == (ERROR, "no | `way` <b>")
    assert (skipped.status, skipped.message) == (SKIPPED, "needs a network")
    assert (run.environment.host, run.environment.cpus_online, run.policy.threads) == ("board", 2, 1)
    assert run.environment.packages["google-benchmark"] == "1.9.5"


@pytest.mark.parametrize(
    ("name", "implementation", "point"),
    [
        ("BM_x/8/16", "BM_x", (("arg0", 8), ("arg1", 16))),
        ("BM_x/-1/n:64/threads:4", "BM_x", (("arg0", -1), ("n", 64), ("threads", 4))),
        ("Fixture/Method/8/min_time:0.500", "Fixture/Method", (("arg0", 8), ("min_time", 0.5))),
        ("BM_x<std::pair<int, 8>>/size:big/real_time", "BM_x<std::pair<int, 8>>/real_time", (("size", "big"),)),
        ("BM_x/n:1/n:2", "BM_x", (("n", 1), ("arg1", "n:2"))),
        ("BM_x/", "BM_x/", ()),
    ],
)
def test_names_of_google_benchmarks_are_taken_apart(
    tmp_path: Path, name: str, implementation: str, point: tuple[tuple[str, Any], ...]
) -> None:
    path = written(
        tmp_path / "a.json",
        {"context": {}, "benchmarks": [{"name": name, "real_time": 2, "cpu_time": 0, "time_unit": "ms"}]},
    )
    (trial,) = imported(tmp_path / "results", path).trials
    assert trial.case == Case("google_benchmark", implementation, point)
    assert (values(trial), values(trial, "cpu_time")) == ([0.002], [0.0])


def test_the_mean_stands_where_repetitions_were_not_written(tmp_path: Path) -> None:
    def aggregates_only(document: dict[str, Any]) -> None:
        document["benchmarks"] = [row for row in document["benchmarks"] if row["run_type"] == "aggregate"]

    run = imported(tmp_path / "results", written(tmp_path / "a.json", GOOGLE, aggregates_only))
    mean = next(row for row in GOOGLE["benchmarks"] if row["name"] == "BM_sum/n:8/m:1_mean")
    assert values(trial_of(run, "BM_sum", n=8, m=1)) == pytest.approx([mean["real_time"] * 1e-9])
    assert "BM_sum_BigO" not in {trial.case.implementation for trial in run.trials}


def test_without_raw_values_the_median_is_the_only_one_and_the_user_is_told(tmp_path: Path) -> None:
    def bare(document: dict[str, Any]) -> None:
        for benchmark in document["benchmarks"]:
            del benchmark["stats"]["data"]
        del document["benchmarks"][0]["stats"]["median"]

    found = brought(tmp_path / "results", written(tmp_path / "a.json", PYTEST, bare))
    run = read_run(found.folder)
    assert values(trial_of(run, "test_reversed", n=8)) == [PYTEST["benchmarks"][2]["stats"]["median"]]
    assert values(trial_of(run, "test_sorted", key="None", n=8)) == [PYTEST["benchmarks"][0]["stats"]["mean"]]
    assert "without raw values" in found.notes[0]


@pytest.mark.parametrize(("count", "note"), [(1, "one file is one launch"), (2, "2 files are 2 launches"), (3, "")])
def test_a_verdict_needs_three_files(tmp_path: Path, count: int, note: str) -> None:
    notes = brought(tmp_path / "results", *launches(tmp_path, PYTEST, count)).notes
    assert (bool(notes), all(text.startswith(note) for text in notes)) == (bool(note), True)


def test_functions_at_one_point_are_a_group_with_the_first_as_the_baseline(tmp_path: Path) -> None:
    def same_point(document: dict[str, Any]) -> None:
        for benchmark in document["benchmarks"]:
            benchmark["params"], benchmark["param"] = {"n": 8}, "8"
            benchmark["fullname"] = benchmark["fullname"].partition("[")[0] + "[8]"
        document["benchmarks"] = document["benchmarks"][1:5:2]

    run = imported(tmp_path / "results", written(tmp_path / "a.json", PYTEST, same_point))
    (table,) = build_result_tables(run)
    assert (table.group.baseline, table.group.interleaved) == ("test_sorted", False)
    medians = [statistics.median(PYTEST["benchmarks"][index]["stats"]["data"]) for index in (3, 1)]
    ratio = table.rows[1].ratio
    assert ratio is not None
    assert ratio.value == pytest.approx(medians[0] / medians[1], rel=0.3)


def test_what_is_exported_and_imported_has_the_same_medians(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(export_run(run, "pytest-benchmark").text)
    again = imported(tmp_path / "results", tmp_path / "a.json")
    before, after = (
        {
            (row.case.workload, row.case.implementation, row.case.point): row.measurements["time"].median
            for table in build_result_tables(one)
            for row in table.rows
            if row.status == OK
        }
        for one in (run, again)
    )
    assert len(before) == 2
    assert after == before
    assert again.environment.cpu_model == run.environment.cpu_model
    assert again.environment.packages.items() >= run.environment.packages.items()


def first(document: dict[str, Any]) -> dict[str, Any]:
    return document["benchmarks"][0]


BAD: dict[str, tuple[Any, str]] = {
    "empty file": (b"", "not JSON"),
    "truncated": (json.dumps(PYTEST)[:-200].encode(), "not JSON"),
    "not text": (b'{"machine_info": {}, "benchmarks": [{"name": "\xff"}]}', "not JSON"),
    "deep": (b"[" * 100_000, "not JSON: nested too deeply"),
    "a list": (b"[]", "expected JSON of pytest-benchmark ('machine_info' and 'benchmarks') or google-benchmark"),
    "something else": (b'{"benchmarks": []}', "expected JSON of pytest-benchmark"),
    "no list": (b'{"machine_info": {}, "benchmarks": {}}', "expected JSON of"),
    "no benchmarks": (b'{"machine_info": {}, "benchmarks": []}', "benchmarks is empty"),
    "no objects": (b'{"machine_info": {}, "benchmarks": [1]}', "benchmarks is not a list of objects"),
    "no name": (b'{"machine_info": {}, "benchmarks": [{"name": 3}]}', "a benchmark has no name"),
    "no stats": (b'{"machine_info": {}, "benchmarks": [{"name": "a"}]}', "a value of pytest/a[] is not a time: None"),
    "text for a time": ((PYTEST, lambda d: first(d)["stats"]["data"].append("fast")), "is not a time: fast"),
    "true for a time": ((PYTEST, lambda d: first(d)["stats"]["data"].append(True)), "is not a time: True"),
    "NaN": ((PYTEST, lambda d: first(d)["stats"]["data"].append(float("nan"))), "is not a time: nan"),
    "infinity": ((GOOGLE, lambda d: first(d).update(real_time=float("inf"))), "real_time of bench_sums/BM_sum"),
    "huge": ((GOOGLE, lambda d: first(d).update(real_time=10**400)), "is not a time"),
    "negative": ((GOOGLE, lambda d: first(d).update(real_time=-1.0)), "is not a time: -1.0"),
    "data is no list": ((PYTEST, lambda d: first(d)["stats"].update(data={"a": 1})), "are no list"),
    "twice": ((PYTEST, lambda d: d["benchmarks"].append(first(d))), "two benchmarks are test_sorting/test_sorted["),
    "same id": (
        (GOOGLE, lambda d: d["benchmarks"].append({**first(d), "run_name": "BM_plain/arg0:8"})),
        "two benchmarks are bench_sums/BM_plain[arg0=8]",
    ),
    "repeated": ((GOOGLE, lambda d: d["benchmarks"].append(first(d))), "a repetition of bench_sums/BM_sum"),
    "unit": ((GOOGLE, lambda d: first(d).update(time_unit="h")), "time_unit of bench_sums/BM_sum[n=8,m=1] is none of"),
    "aggregates": (
        (GOOGLE, lambda d: d.update(benchmarks=[row for row in d["benchmarks"] if "big_o" in row])),
        "aggregates alone",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_believed_is_one_line_with_its_name_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    content, message = BAD[name]
    path = tmp_path / "bad.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        written(path, *content)
    with pytest.raises(UsageError) as caught:
        brought(tmp_path / "results", *launches(tmp_path, PYTEST, 1), path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_file_that_is_missing_a_folder_or_endless_is_refused(tmp_path: Path) -> None:
    for path, message in (
        (tmp_path / "nowhere", "No such file"),
        (tmp_path, "Is a directory"),
        (Path("/dev/zero"), "larger than 100 MiB"),
    ):
        with pytest.raises(UsageError, match=f"^{path}: .*{message}"):
            brought(tmp_path / "results", path)


def moved(document: dict[str, Any]) -> None:
    document["machine_info"]["cpu"]["brand_raw"] = "Another"


def later(document: dict[str, Any]) -> None:
    document["commit_info"]["id"] = "f" * 40


@pytest.mark.parametrize(
    ("other", "change", "message"),
    [
        (PYTEST, moved, "cpu_model: AMD EPYC -> Another"),
        (PYTEST, later, "git_commit: 0123456789ab -> ffffffffffff"),
        (GOOGLE, len, "tool: pytest-benchmark -> google-benchmark"),
    ],
)
def test_files_of_two_machines_commits_or_tools_are_no_launches_of_one_run(
    tmp_path: Path, other: dict[str, Any], change: Change, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        brought(tmp_path / "results", *launches(tmp_path, PYTEST, 1), written(tmp_path / "b.json", other, change))


def test_one_file_given_twice_is_no_second_launch(tmp_path: Path) -> None:
    (path,) = launches(tmp_path, PYTEST, 1)
    (tmp_path / "copy.json").write_bytes(path.read_bytes())
    with pytest.raises(UsageError, match=r"copy\.json holds the same as"):
        brought(tmp_path / "results", path, tmp_path / "copy.json")


def test_the_format_can_be_named_and_a_wrong_one_has_the_nearest(tmp_path: Path) -> None:
    (path,) = launches(tmp_path, PYTEST, 1)
    with pytest.raises(UsageError, match="unknown format 'pytest'; did you mean 'pytest-benchmark'"):
        brought(tmp_path / "results", path, tool="pytest")
    with pytest.raises(UsageError, match="expected JSON of google-benchmark"):
        brought(tmp_path / "results", path, tool="google-benchmark")


def test_text_that_could_do_harm_is_one_plain_line(tmp_path: Path) -> None:
    def hostile(document: dict[str, Any]) -> None:
        first(document).update(
            fullname="../../\x1b[31m/é.py::te\nst\ud800\u202e[8]", param="8", params={"a\tb": "\x00"}
        )
        document["machine_info"]["node"] = "\x1b]0;title\x07"
        document["machine_info"]["cpu"] = {"count": -5, "brand_raw": ["a"]}
        document["datetime"] = "0001-01-01T00:00:00+14:00"

    run = imported(tmp_path / "results", written(tmp_path / "a.json", PYTEST, hostile))
    assert run.trials[0].case == Case("é", "te st", (("a b", ""),))
    assert (run.environment.host, run.environment.cpus_online) == ("]0;title", 0)
    assert run.folder.parent == tmp_path / "results"


def test_a_time_of_zero_is_a_failure_of_that_case_alone(tmp_path: Path) -> None:
    def coarse(document: dict[str, Any]) -> None:
        first(document)["stats"]["data"] = [0.0] * 30
        document["benchmarks"][1]["stats"]["data"] = [0.0, 1.0, 1.0] * 20

    run = imported(tmp_path / "results", written(tmp_path / "a.json", PYTEST, coarse))
    assert [trial.status for trial in run.trials[:3]] == [ERROR, OK, OK]
    assert "the clock was too coarse" in run.trials[0].message


def test_a_parameter_that_changes_its_type_between_files_is_one_case(tmp_path: Path) -> None:
    def as_text(document: dict[str, Any]) -> None:
        document["benchmarks"][2]["params"] = {"n": "8"}

    paths = [*launches(tmp_path, PYTEST, 2), written(tmp_path / "text.json", PYTEST, as_text)]
    run = imported(tmp_path / "results", *paths)
    assert len([trial for trial in run.trials if trial.case.id == "test_sorting/test_reversed[n=8]"]) == 3
    assert [len(group.cases) for group in run.groups] == [1] * 7


def test_results_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("no folder")
    with pytest.raises(UsageError, match="cannot write to"):
        brought(tmp_path / "results", *launches(tmp_path, PYTEST, 1))
