"""Folders that came from elsewhere and are no runs, or are more than that."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from harness.core.errors import UsageError
from harness.core.run import Run
from harness.core.run_description import INTERRUPTED
from harness.store import schema, vet
from harness.store.vet import vet_run as look_through

Record = Callable[..., Run]


class Touch:
    """What writes a file when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("executed"),)


@pytest.fixture
def run(record: Record, place: Path) -> Run:
    found = record({"base": [[1e-3, 2e-3]], "other": "error: it broke"})
    look_through(found.folder)
    return found


def refused(folder: Path, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        look_through(folder)
    assert str(caught.value).isprintable()
    assert str(folder.parent) not in str(caught.value)  # where it was unpacked is nothing to the user
    assert not Path("executed").exists()


def described(run: Run, **changes: Any) -> None:
    (run.folder / schema.RUN).write_text(json.dumps({**run.description.to_json(), **changes}))


@pytest.mark.parametrize(
    "metrics",
    [
        [],
        {"work": [{"name": "kept"}]},
        {"work": [{"name": "kept", "unit": 1, "better": None, "help": ""}]},
        {"work": [{"name": "kept", "unit": "1", "better": "more", "help": ""}]},
        {"work": [{"name": "kept", "unit": "1", "better": None, "help": "", "margin": "a lot"}]},
        {"work": [{"name": "kept", "unit": "1", "better": None, "help": "", "colour": "red"}]},
    ],
)
def test_declared_metrics_of_another_form_are_refused(run: Run, metrics: Any) -> None:
    described(run, metrics={"work": [{"name": "kept", "unit": "1", "better": "lower", "help": ""}]})
    look_through(run.folder)
    described(run, metrics=metrics)
    refused(run.folder, "'metrics' is missing or of another type|better is")


@pytest.mark.parametrize("name", [schema.RUN, schema.SAMPLES, schema.TRIALS, schema.MEASUREMENTS])
def test_a_pickle_under_another_name_is_refused_and_not_read(run: Run, name: str) -> None:
    (run.folder / name).write_bytes(pickle.dumps(Touch()))
    refused(run.folder, f"{run.id}/{name}(: not JSON| is no Parquet file)")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "run.json: not JSON"),
        (b'{"run_id": "\xff"}', "run.json: not JSON"),
        (b"[" * 100_000, "run.json: not JSON"),
        (b"[]", "run.json: not the description of a run"),
        (b"{}", "'schema_version' is missing or of another type"),
    ],
)
def test_a_description_that_is_none_is_refused(run: Run, content: bytes, message: str) -> None:
    (run.folder / schema.RUN).write_bytes(content)
    refused(run.folder, message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run_id": "20260101T000000Z-other-012345"}, "is of another run: '20260101T000000Z-other-012345'"),
        ({"run_id": "\x1b[31m"}, "is of another run"),
        ({"run_id": 3}, "'run_id' is missing or of another type"),
        ({"state": "\u202edone"}, "'state' is missing or of another type"),
        ({"schema_version": 99}, r"written by a newer version \(schema 99"),
        ({"schema_version": True}, "'schema_version' is missing or of another type"),
        ({"tags": None}, "'tags' is missing or of another type"),
        ({"plan": [3]}, "'plan' is missing or of another type"),
        ({"policy": {"budget": 3}}, "'policy' is missing or of another type"),
        ({"environment": {"gpus": 3}}, "'environment' is missing or of another type"),
        ({"environment": {"gpus": [3]}}, "'environment' is missing or of another type"),
        ({"rests": 3}, "'rests' is missing or of another type"),
        ({"ceilings": {"a": 1}}, "'ceilings' is missing or of another type"),
        ({"plan": []}, "which the run does not"),
        ({"policy": {"launches": "many"}}, "'policy' is missing or of another type"),
        ({"policy": {"device": "cuda:7"}}, "reads as no run"),
        ({"revision": {"role": "new", "together": "../../other"}}, "no side of the run that it names"),
        ({"revision": {"role": "new", "together": "*"}}, "no side of the run that it names"),
        ({"revision": "x"}, "'revision' is missing or of another type"),
    ],
    ids=str,
)
def test_a_description_that_others_could_not_rely_on_is_refused(
    run: Run, changes: dict[str, Any], message: str
) -> None:
    described(run, **changes)
    refused(run.folder, message)


def test_a_side_is_taken_under_its_own_name(run: Run) -> None:
    folder = run.folder.rename(run.folder.with_name(f"{run.id}-base"))
    side = {"role": "base", "together": run.id}
    (folder / schema.RUN).write_text(
        json.dumps({**run.description.to_json(), "run_id": f"{run.id}-base", "revision": side})
    )
    for path in folder.glob("*.parquet"):
        table = pq.read_table(path)
        named = pa.array([f"{run.id}-base"] * len(table), pa.string())
        pq.write_table(table.set_column(0, "run_id", named), path)
    look_through(folder)


def another(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    pq.write_table(change(pq.read_table(path)), path)


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.drop_columns(["value"]),
        lambda table: table.append_column("more", pa.nulls(len(table), pa.string())),
        lambda table: table.rename_columns(["run", *table.column_names[1:]]),
        lambda table: table.select(table.column_names[::-1]),
        lambda table: table.set_column(6, "launch", table["launch"].cast(pa.int64())),
        lambda table: table.set_column(0, "run_id", table["run_id"].cast(pa.large_string())),
        lambda table: table.set_column(0, "run_id", table["run_id"].cast(pa.binary())),
    ],
)
def test_a_table_of_other_columns_is_refused(run: Run, change: Callable[[pa.Table], pa.Table]) -> None:
    another(run.folder / schema.SAMPLES, change)
    refused(run.folder, f"{run.id}/samples.parquet does not have the columns of a run")


def test_a_table_of_too_many_rows_or_bytes_is_refused_before_it_is_read(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = pa.table([pa.nulls(vet.MOST_ROWS + 1, field.type) for field in schema.TRIALS_SCHEMA], schema.TRIALS_SCHEMA)
    before = (run.folder / schema.TRIALS).read_bytes()
    pq.write_table(many, run.folder / schema.TRIALS)
    refused(run.folder, "trials.parquet unpacks to more than 4000000 rows")
    (run.folder / schema.TRIALS).write_bytes(before)
    monkeypatch.setattr(vet, "MOST_BYTES", 200)
    monkeypatch.setattr(pq, "read_table", None)
    refused(run.folder, "measurements.parquet unpacks to more than")


def test_a_table_that_is_damaged_within_is_refused(run: Run) -> None:
    path = run.folder / schema.MEASUREMENTS
    content = path.read_bytes()
    path.write_bytes(content[:4] + bytes(200) + content[204:])
    refused(run.folder, f"{run.id}/measurements.parquet is damaged")


def test_rows_of_other_runs_and_cases_are_refused(run: Run) -> None:
    before = (run.folder / schema.TRIALS).read_bytes()
    for number, name, message in (
        (0, "run_id", "has rows of another run"),
        (1, "case", "a table has 'x', which the run does not"),
    ):
        (run.folder / schema.TRIALS).write_bytes(before)
        other = pa.array(["x", "y"], pa.string())
        another(run.folder / schema.TRIALS, lambda table: table.set_column(number, name, other))  # noqa: B023
        refused(run.folder, message)


def test_a_description_whose_fields_are_of_other_types_is_refused(run: Run) -> None:
    def with_machine(**changes: Any) -> dict[str, Any]:
        return {"environment": {**run.description.to_json()["environment"], **changes}}

    def with_case(**changes: Any) -> dict[str, Any]:
        (group,) = run.description.to_json()["plan"]
        first = group["cases"][0]
        return {"plan": [{**group, "cases": [*group["cases"], {**first, "case": {**first["case"], **changes}}]}]}

    for changes in (
        with_machine(cpu_model=3),
        with_machine(packages=[]),
        with_machine(packages={}),
        with_case(workload=[]),
        with_case(point=[["n", []]]),
        with_case(point=3),
    ):
        described(run, **changes)
        refused(run.folder, "reads as no run|'(environment|plan)' is missing or of another type")


def test_a_table_with_gaps_is_refused(run: Run) -> None:
    gaps = pa.nulls(2, pa.float64())
    another(run.folder / schema.SAMPLES, lambda table: table.set_column(11, "value", gaps))
    refused(run.folder, f"{run.id}/samples.parquet has gaps")


def test_a_journal_of_other_types_is_refused(record: Record, place: Path) -> None:
    cut = record({"base": [[1e-3]]}, state=INTERRUPTED)
    journal = (cut.folder / schema.JOURNAL).read_text()
    look_through(cut.folder)
    for before, after in (('"ok"', "3"), ('["time", 0.001', '["time", "fast"'), ('["time"', "[[]")):
        assert before in journal
        (cut.folder / schema.JOURNAL).write_text(journal.replace(before, after))
        refused(cut.folder, "reads as no run|journal.jsonl:[0-9]+ is not a launch, a rest or a trial")


def test_a_run_has_its_tables_or_where_it_was_cut_short_its_journal(run: Run, record: Record) -> None:
    (run.folder / schema.JOURNAL).write_text("")
    refused(run.folder, "is no whole run")
    (run.folder / schema.JOURNAL).unlink()
    described(run, state=INTERRUPTED)
    refused(run.folder, "is no whole run")
    described(run)
    (run.folder / schema.MEASUREMENTS).unlink()
    refused(run.folder, "is no whole run")
    cut = record({"base": [[1e-3]]}, state=INTERRUPTED)
    look_through(cut.folder)
    (cut.folder / schema.JOURNAL).write_text('{"trial": {"case": 3}}')
    refused(cut.folder, "journal.jsonl:1 is not a launch, a rest or a trial")
