from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis.measurements import summarize_trials
from harness.analysis.rows import build_result_tables
from harness.core.case import Case, Group, PlannedCase
from harness.core.errors import HarnessError, UsageError
from harness.core.run_description import COMPLETE, RUNNING
from harness.core.suite import Policy
from harness.core.trial import ERROR, OK, Launch, Sample, Trial
from harness.core.workload import Cost
from harness.detect import detect_environment
from harness.store.measured_run import read_measured_run
from harness.store.read import read_run
from harness.store.write import append_event, make_run_id, write_tables
from tests.support.runs import recorded_run

CASE = Case("work", "plain", (("n", 4), ("causal", False)))
GROUP = Group("work[n=4,causal=false]", "plain", (PlannedCase(CASE, Cost(8.0, 16.0), memory=64),))
POLICY = Policy(launches=2, seed=7, device="cpu")
TRIALS = [
    Trial(CASE, 0, OK, "", "2026-01-01T00:00:00.000+00:00", 1.5, "said <b>\n", [Sample("time", 1e-3, 0, 0, "a,b")]),
    Trial(CASE, 1, ERROR, "step: ValueError: no", "2026-01-01T00:00:02.000+00:00", 0.5),
]


def new_run(folder: Path) -> Path:
    name = make_run_id("work/../x")
    return recorded_run(folder, [GROUP], [], run_id=name, policy=POLICY, state=RUNNING, sources=["f.py"]).folder


def test_a_run_is_read_back_from_its_journal_and_from_its_tables_alike(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    append_event(folder, Launch(0, "2026-01-01T00:00:00.000+00:00", {"torch_threads": 2}))
    for trial in TRIALS:
        append_event(folder, trial)
    run = read_run(folder)
    assert (list(run.trials), run.groups, run.policy) == (TRIALS, (GROUP,), POLICY)
    assert run.description.launches[0].runtime == {"torch_threads": 2}
    assert not run.environment.differences(detect_environment())
    write_tables(run, summarize_trials(run.groups, run.trials), COMPLETE)
    again = read_run(folder)
    assert (list(again.trials), again.groups, again.complete) == (TRIALS, (GROUP,), True)
    assert again.description.launches == run.description.launches
    assert sorted(path.name for path in folder.iterdir()) == [
        "measurements.parquet",
        "run.json",
        "samples.parquet",
        "trials.parquet",
    ]


def test_the_tables_are_tidy_and_carry_the_units(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    write_tables(replace(read_run(folder), trials=tuple(TRIALS)), summarize_trials([GROUP], TRIALS), COMPLETE)
    samples = pd.read_parquet(folder / "samples.parquet")
    assert list(samples.columns) == (
        "run_id case group workload implementation params launch round index metric unit value flags "
        "uncertainty provenance".split()
    )
    assert samples.iloc[0].to_dict() == {
        "run_id": folder.name,
        "case": "work/plain[n=4,causal=false]",
        "group": "work[n=4,causal=false]",
        "workload": "work",
        "implementation": "plain",
        "params": '{"causal": false, "n": 4}',
        "launch": 0,
        "round": 0,
        "index": 0,
        "metric": "time",
        "unit": "s",
        "value": 1e-3,
        "flags": "a,b",
        "uncertainty": 0.0,
        "provenance": "",
    }
    measurements = pd.read_parquet(folder / "measurements.parquet")
    assert list(measurements.columns) == (
        "run_id case group workload implementation params metric unit n launches median ci_low ci_high flags "
        "provenance".split()
    )
    assert dict(zip(measurements["metric"], measurements["median"], strict=True)) == pytest.approx(
        {"time": 1e-3, "flops_per_s": 8e3, "bytes_per_s": 16e3}
    )
    trials = pd.read_parquet(folder / "trials.parquet")
    assert list(trials.columns) == "run_id case launch status message started_at duration_s log executed".split()
    assert list(trials["status"]) == ["ok", "error"]


def test_a_line_that_was_being_written_when_the_process_died_is_left_out(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    append_event(folder, TRIALS[0])
    with (folder / "journal.jsonl").open("a") as journal:
        journal.write('\n{"trial": {"case": {"workl')
    assert list(read_run(folder).trials) == [TRIALS[0]]
    append_event(folder, TRIALS[1])
    assert list(read_run(folder).trials) == TRIALS


def test_two_runs_in_one_second_have_folders_of_their_own_with_harmless_names(tmp_path: Path) -> None:
    one, other = new_run(tmp_path), new_run(tmp_path)
    assert one != other
    assert one.parent == other.parent == tmp_path
    assert "work-..-x" in one.name


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{folder} is not a run folder: it has no run.json"),
        ("", "{folder}/run.json: not JSON"),
        ("[]", "{folder}/run.json: not the description of a run"),
        ("{}", "{folder}/run.json: 'schema_version' is missing or of another type"),
        ('{"schema_version": 1}', "{folder}/run.json: 'run_id' is missing or of another type"),
    ],
)
def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(UsageError) as error:
        read_run(tmp_path)
    assert str(error.value) == message.format(folder=tmp_path)


def test_a_run_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, "schema_version": 99}))
    with pytest.raises(UsageError, match="newer version"):
        read_run(folder)


def test_a_damaged_table_is_refused_and_a_folder_that_cannot_be_made_too(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    write_tables(replace(read_run(folder), trials=tuple(TRIALS)), [], COMPLETE)
    (folder / "samples.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="cannot be read"):
        read_run(folder)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write to"):
        new_run(tmp_path / "file")


def test_a_disk_that_fills_up_ends_in_one_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    append_event(folder, TRIALS[0])
    (folder / "journal.jsonl").rename(folder / "kept")
    os.symlink("/dev/full", folder / "journal.jsonl")
    with pytest.raises(HarnessError, match="No space left on device"):
        append_event(folder, TRIALS[1])
    os.replace(folder / "kept", folder / "journal.jsonl")
    assert list(read_run(folder).trials) == [TRIALS[0]]


def test_environments_that_differ_in_what_decides_say_so_and_others_do_not() -> None:
    here = detect_environment()
    assert here.differences(replace(here, load_1min=9.0, git_commit="x", host="other")) == []
    there = replace(here, cpu_model="Another", packages={**here.packages, "torch": "1.0"})
    assert [line.partition(":")[0] for line in here.differences(there)] == ["cpu_model", "packages"]
    assert here.fingerprint != there.fingerprint


def test_a_run_that_is_older_than_declared_metrics_is_read_as_before(tmp_path: Path) -> None:
    folder = new_run(tmp_path)
    run = read_run(folder)
    trials = [replace(TRIALS[0], samples=[*TRIALS[0].samples, Sample("wrong_elements", 3.0)])]
    older = replace(run, description=replace(run.description, metrics=None), trials=tuple(trials))
    write_tables(older, summarize_trials([GROUP], trials), COMPLETE)
    again = read_run(folder)
    assert again.metrics == again.context.metrics == {}
    (table,) = build_result_tables(again)
    found = table.rows[0].measurements["wrong_elements"]
    assert (found.median, found.unit, found.kind.better) == (3.0, "1", None)
    assert {row.metric: row.unit for row in read_measured_run(folder).measurements}["wrong_elements"] == "1"
