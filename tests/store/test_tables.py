"""Many runs as frames: real folders, also old, torn, killed and foreign ones."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.errors import HarnessError, UsageError
from harness.core.run import Run
from harness.core.run_description import COMPLETE, RUNNING
from harness.core.trial import CRASHED, OK, Sample, Trial
from harness.detect import detect_environment
from harness.store.dataframes import Tables, read_tables
from harness.store.gather import gather_runs
from harness.store.measured_run import read_measured_run
from harness.store.merge import merge_runs
from harness.store.read import read_run
from harness.store.write import append_event, write_tables
from tests.support.runs import recorded_run

Record = Callable[..., Run]
TIMES = {"base": [[1e-3, 2e-3], [3e-3]], "new": [[4e-3]]}
WRITERS, SAMPLES = 8, 5000
REPEATED = "run_id case group workload implementation params metric unit flags provenance".split()


def edit(folder: Path, **fields: object) -> None:
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, **fields}))


def as_version_1(folder: Path) -> None:
    """Make a run what version 1 wrote: without the columns and the fields that came later."""
    meta = json.loads((folder / "run.json").read_text())
    for name in ("revision", "rests"):
        del meta[name]
    (folder / "run.json").write_text(json.dumps({**meta, "schema_version": 1}))
    for path in folder.glob("*.parquet"):
        table = pq.ParquetFile(path).read()
        later = {"uncertainty", "provenance", "executed"} & set(table.column_names)
        pq.write_table(table.drop_columns(list(later)), path)


def kill(run: Run, torn: str = '\n{"trial": {"case": {"workl') -> Path:
    """Make of a run what stays of it where its process is killed."""
    for path in run.folder.glob("*.parquet"):
        path.unlink()
    edit(run.folder, state="running")
    (run.folder / "journal.jsonl").touch()
    for trial in run.trials:
        append_event(run.folder, trial)
    with (run.folder / "journal.jsonl").open("a") as journal:
        journal.write(torn)
    return run.folder


def values(tables: Tables) -> list[float]:
    return sorted(tables.samples["value"])


def test_the_frames_hold_what_was_measured_and_where(record: Record, tmp_path: Path) -> None:
    one, other = record(TIMES), record({"base": [[5e-3]], "new": "crashed: signal 9"})
    found = read_tables(str(tmp_path / "results"))
    assert values(found) == [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]
    (row,) = found.samples[found.samples["value"] == 3e-3].to_dict("records")
    assert (row["run_id"], row["case"], row["launch"], row["round"], row["unit"]) == (
        one.id,
        "work/base[n=4]",
        1,
        0,
        "s",
    )
    assert all(isinstance(found.samples[name].dtype, pd.CategoricalDtype) for name in REPEATED)
    assert sorted(found.trials["status"]) == ["crashed", *["ok"] * 4]
    assert found.measurements.groupby("run_id", observed=True).size().to_dict() == {one.id: 2, other.id: 1}
    assert list(found.environment["run_id"]) == [one.id, other.id]
    machine = found.environment.iloc[0]
    assert (machine["folder"], machine["state"], machine["command"]) == (str(one.folder), "complete", "bench")
    assert (machine["fingerprint"], machine["device"], machine["threads"]) == (
        detect_environment().fingerprint,
        "cpu",
        1,
    )
    assert (machine["commit"], machine["dirty"]) == (detect_environment().git_commit, False)
    assert machine["package_numpy"] == detect_environment().packages["numpy"]
    assert found.left_out == ()


def test_version_1_is_read_as_having_none_of_what_came_later(record: Record, tmp_path: Path) -> None:
    old, new = record(TIMES), record({"base": [[5e-3]]})
    before, measured = read_run(old.folder), read_measured_run(old.folder).measurements
    as_version_1(old.folder)
    assert "provenance" not in pq.ParquetFile(old.folder / "samples.parquet").schema_arrow.names
    assert repr(read_run(old.folder).trials) == repr(before.trials)
    assert repr(read_measured_run(old.folder).measurements) == repr(measured)
    found = read_tables(str(tmp_path / "results"))
    assert values(found) == [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]
    mine = found.samples[found.samples["run_id"] == old.id]
    assert set(mine["provenance"]) == {""}
    assert set(mine["uncertainty"]) == {0.0}
    assert set(found.trials["executed"]) == set(found.measurements["provenance"]) == {""}
    assert found.left_out == ()
    for name in ("samples", "measurements", "trials"):
        ours, theirs = (getattr(read_tables(str(run.folder)), name).dtypes.map(str) for run in (old, new))
        assert ours.equals(theirs)


def test_a_newer_version_is_named_among_many_and_an_error_alone(record: Record, tmp_path: Path) -> None:
    newer, other = record(TIMES), record({"base": [[5e-3]]})
    edit(newer.folder, schema_version=99)
    found = read_tables(str(tmp_path / "results"))
    assert values(found) == [5e-3]
    assert found.left_out == (
        f"{newer.folder}/run.json: written by a newer version (schema 99, not 2); upgrade benchwright to read it",
    )
    assert list(found.environment["run_id"]) == [other.id]
    with pytest.raises(UsageError, match="newer version"):
        read_tables(str(newer.folder))


def test_a_run_that_was_killed_is_read_from_its_journal(record: Record, tmp_path: Path) -> None:
    killed, other = record(TIMES), record({"base": [[5e-3]]})
    kill(killed)
    found = read_tables(str(tmp_path / "results"))
    assert values(found) == [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]
    states = found.environment.set_index("run_id")["state"].to_dict()
    assert states == {killed.id: "running", other.id: "complete"}
    assert set(found.measurements["run_id"]) == {other.id}
    assert isinstance(found.samples["case"].dtype, pd.CategoricalDtype)


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (lambda folder: _cut(folder / "samples.parquet"), "samples.parquet is no whole Parquet file"),
        (lambda folder: (folder / "trials.parquet").write_bytes(b""), "trials.parquet is no whole Parquet file"),
        (
            lambda folder: (folder / "trials.parquet").write_bytes(b"PAR1" * 9),
            "trials.parquet is no whole Parquet file",
        ),
        (
            lambda folder: (folder / "measurements.parquet").unlink(),
            "measurements.parquet cannot be read: No such file",
        ),
        (lambda folder: _retype(folder), "samples.parquet does not have the columns of a run"),
        (lambda folder: pq.write_table(pa.table({"a": [1]}), folder / "samples.parquet"), "does not have the columns"),
        (lambda folder: (folder / "run.json").write_text("[{"), "run.json: not JSON"),
        (lambda folder: edit(folder, plan=7), "run.json: 'plan' is missing or of another type"),
        (lambda folder: edit(folder, policy={"threads": "many"}), "run.json: 'policy' is missing or of another"),
        (lambda folder: (folder / "journal.jsonl").write_text('{"trial": 7}'), "journal.jsonl:1 is not a launch"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_damaged_or_foreign_is_named_and_the_others_are_read(
    record: Record, tmp_path: Path, damage: Callable[[Path], object], why: str
) -> None:
    bad, good = record(TIMES), record({"base": [[5e-3]]})
    damage(bad.folder)
    found = read_tables(str(tmp_path / "results"))
    assert values(found) == [5e-3]
    assert list(found.environment["run_id"]) == [good.id]
    (line,) = found.left_out
    assert line.startswith(str(bad.folder))
    assert why in line
    assert "\n" not in line


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _retype(folder: Path) -> None:
    table = pd.read_parquet(folder / "samples.parquet").astype({"launch": "int64"})
    table.to_parquet(folder / "samples.parquet", index=False)


@pytest.mark.parametrize("name", ["metric=energy", "a[1]*b?", "it's; drop table samples --"])
def test_the_name_of_a_folder_says_nothing_about_what_is_in_it(record: Record, tmp_path: Path, name: str) -> None:
    run = record(TIMES, results=tmp_path / "results" / name)
    fitting = record({"base": [[9.0]]}, results=tmp_path / "results" / "a1xbz")
    fitting.folder.rename(fitting.folder.with_name(run.id))
    found = read_tables(str(tmp_path / "results" / name))
    assert values(found) == [1e-3, 2e-3, 3e-3, 4e-3]
    assert set(found.samples["metric"]) == {"time"}


def test_text_from_files_is_data_whatever_it_says(record: Record, tmp_path: Path) -> None:
    hostile = "'); drop table samples; --\" {metric} $metric"
    run = record({hostile: [[1e-3]], "base": f"crashed: {hostile}"})
    found = read_tables(str(tmp_path / "results"))
    assert set(found.samples["implementation"]) == {hostile}
    assert hostile in set(found.trials["message"])
    merge_into(tmp_path / "merged", str(run.folder))
    assert set(read_tables(str(tmp_path / "merged")).samples["implementation"]) == {hostile}


def test_words_are_folders_runs_and_patterns_and_each_run_counts_once(record: Record, tmp_path: Path) -> None:
    results = tmp_path / "results"
    one, other = record(TIMES), record({"base": [[5e-3]]})
    shutil.copytree(one.folder, results / "baselines" / "main" / one.id)
    everything = read_tables(str(results))
    assert values(everything) == [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]
    assert values(read_tables(str(other.folder))) == [5e-3]
    assert values(read_tables(str(other.folder), str(other.folder), str(results / "*"))) == values(everything)
    assert values(read_tables(str(results / f"*{other.id[-6:]}"))) == [5e-3]
    assert list(everything.environment["folder"]) == [str(one.folder), str(other.folder)]


def test_a_place_that_is_not_there_or_has_no_run_is_one_line(record: Record, tmp_path: Path) -> None:
    record(TIMES)
    with pytest.raises(UsageError, match=r"unknown place '.*resluts'; did you mean '.*/results'"):
        read_tables(str(tmp_path / "resluts"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"there is no run in .*/empty"):
        read_tables(str(tmp_path / "empty"))
    with pytest.raises(UsageError, match=r"there is no run in .*nothing"):
        read_tables(str(tmp_path / "nothing*"))
    found = read_tables(str(tmp_path / "empty"), str(tmp_path / "results"))
    assert found.left_out == (f"there is no run in {tmp_path / 'empty'}",)
    assert len(found.samples) == 4


def merge_into(target: Path, *words: str) -> None:
    with gather_runs(words) as found:
        merge_runs(found, target)


def test_a_merged_folder_is_read_as_the_runs_that_it_was_made_of(record: Record, tmp_path: Path) -> None:
    results, merged = tmp_path / "results", tmp_path / "merged"
    old, killed = record(TIMES), record({"base": [[5e-3]]})
    record({"base": [[6e-3]], "new": "crashed: signal 9"})
    as_version_1(old.folder)
    kill(killed)
    before = read_tables(str(results))
    merge_into(merged, str(results))
    assert sorted(path.name for path in merged.iterdir()) == [
        f"{name}.parquet" for name in ("measurements", "runs", "samples", "trials")
    ]
    for after in (read_tables(str(merged)), read_tables(str(merged), str(results)), read_tables(str(tmp_path))):
        for name in ("samples", "measurements", "trials", "environment"):
            ours, theirs = (_sorted(getattr(tables, name)) for tables in (before, after))
            pd.testing.assert_frame_equal(ours, theirs)
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    plain = frame.astype(dict.fromkeys(frame.select_dtypes("category"), str))
    return plain.sort_values(list(plain.columns), ignore_index=True)


def test_a_run_of_its_own_stands_before_the_same_one_merged_earlier(record: Record, tmp_path: Path) -> None:
    run = record(TIMES)
    other = record({"base": [[5e-3]]})
    kill(replace(run, trials=run.trials[:1]))
    merge_into(tmp_path / "merged", str(tmp_path / "results"))
    shutil.rmtree(other.folder)
    write_tables(run, [], COMPLETE)
    assert values(read_tables(str(tmp_path / "merged"))) == [1e-3, 2e-3, 5e-3]
    assert values(read_tables(str(tmp_path / "merged"), str(run.folder))) == [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]


def test_merging_overwrites_nothing_and_leaves_nothing_half_done(record: Record, tmp_path: Path) -> None:
    run = record(TIMES)
    (tmp_path / "there").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        merge_into(tmp_path / "there", str(run.folder))
    (tmp_path / "file").touch()
    with pytest.raises(HarnessError, match="cannot write to"):
        merge_into(tmp_path / "file" / "merged", str(run.folder))
    merge_into(tmp_path / "merged", str(run.folder))
    _cut(tmp_path / "merged" / "trials.parquet")
    with pytest.raises(UsageError, match=r"merged: trials.parquet is no whole Parquet file"):
        read_tables(str(tmp_path / "merged"))


def write_one(results: Path, number: int) -> None:
    case = Case("work", f"writer_{number}", (("n", 4),))
    group = Group(case.group, case.implementation, (PlannedCase(case),))
    trials = [Trial(case, 0, OK, samples=[Sample("time", float(number * SAMPLES + i), i) for i in range(SAMPLES)])]
    trials += [Trial(case, 1, CRASHED)] if number % 2 else []
    state = COMPLETE if number % 2 else RUNNING  # every other one is killed before its tables are written
    recorded_run(results, [group], trials, run_id=f"run-{number}", measurements=[], state=state)


def test_of_processes_that_write_at_once_every_sample_is_found(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_one, args=(tmp_path, number)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(timeout=300)
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    found = read_tables(str(tmp_path))
    assert values(found) == [float(number) for number in range(WRITERS * SAMPLES)]
    assert set(found.samples["run_id"].value_counts()) == {SAMPLES}
    assert found.left_out == ()
