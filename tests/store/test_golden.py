"""Run folders that an earlier version of this project wrote (``data``, by commit 44813ee), and the tables that it read
of them (``data/expected``): one side of two that came to its end, and one run that was interrupted."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.rows import build_result_tables
from harness.core.run import Run
from harness.core.run_description import COMPLETE, INTERRUPTED, RUNNING
from harness.store.dataframes import read_tables
from harness.store.description import read_description
from harness.store.measured_run import read_measured_run
from harness.store.read import read_run
from harness.store.write import append_event, create_run, reopen_run, write_tables

DATA = Path(__file__).parent / "data"
SIDE, CUT = "20261130T120000Z-work-0a1b2c-new", "20261130T130000Z-work-3d4e5f"


def expected(name: str, table: str) -> str:
    return (DATA / "expected" / name / f"{table}.csv").read_text()


def rows_of(run: Run) -> str:
    """Write what is shown of a run; what is computed, to nine digits, which every machine finds."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    for row in (row for table in build_result_tables(run) for row in table.rows):
        ratio = f"{row.ratio.value:.9g}" if row.ratio else ""
        lines.writerow([row.case.id, row.status, row.message, ratio])
        for one in row.measurements.values():
            numbers = (f"{value:.9g}" for value in (one.median, one.ci_low, one.ci_high))
            lines.writerow([row.case.id, one.metric, *numbers, ",".join(one.flags), one.provenance])
    return text.getvalue()


@pytest.mark.parametrize("name", [SIDE, CUT])
def test_a_run_of_an_earlier_version_is_equal_in_every_table(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA)  # one of the tables has the folder, as the user named it
    found = read_tables(name)
    assert found.left_out == ()
    for table in ("samples", "measurements", "trials"):
        assert getattr(found, table).to_csv(index=False, lineterminator="\n") == expected(name, table)
    assert found.environment.T.to_csv(lineterminator="\n") == expected(name, "environment")
    assert rows_of(read_run(DATA / name)) == expected(name, "rows")


def test_a_history_reads_what_the_earlier_version_measured() -> None:
    found = read_measured_run(DATA / SIDE)
    medians = [float(row["median"] or "nan") for row in csv.DictReader(io.StringIO(expected(SIDE, "measurements")))]
    assert repr([row.median for row in found.measurements]) == repr(medians)


def keys(data: Any) -> Any:
    """Return the keys of a document in their order, and of all that is in it."""
    if isinstance(data, dict):
        return {key: keys(value) for key, value in data.items()}, list(data)
    return [keys(item) for item in data] if isinstance(data, list) else None


@pytest.mark.parametrize("name", [SIDE, CUT])
def test_a_description_is_written_byte_by_byte_as_it_was_read(name: str) -> None:
    text = (DATA / name / "run.json").read_text()
    description = read_description(DATA / name)
    assert json.dumps(description.to_json(), indent=1) == text
    assert description.extra == {}
    assert description.state == (COMPLETE if name == SIDE else INTERRUPTED)


@pytest.mark.parametrize("name", [SIDE, CUT])
def test_a_run_that_is_written_now_has_the_keys_of_the_earlier_version(name: str, tmp_path: Path) -> None:
    run = read_run(DATA / name)
    begun = replace(run.description, started_at="", ended_at="", launches=(), rests=())
    folder = create_run(tmp_path, begun)
    for event in (*run.description.launches, *run.description.rests, *run.trials):
        append_event(folder, event)
    again = read_run(folder)
    assert again.description.extra == {}
    assert (again.description.launches, again.description.rests) == (run.description.launches, run.description.rests)
    assert repr(again.trials) == repr(run.trials)  # NaN differs from itself
    write_tables(again, [], run.description.state)
    written, before = (json.loads((place / "run.json").read_text()) for place in (folder, DATA / name))
    assert keys(written) == keys(before)


def test_a_run_that_an_earlier_version_cut_short_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / CUT
    shutil.copytree(DATA / CUT, folder)
    before = read_run(folder)
    reopen_run(before, before.groups)
    again = read_run(folder)
    assert again.description == replace(before.description, state=RUNNING)
    assert repr(again.trials) == repr(before.trials)
    assert len((folder / "journal.jsonl").read_text().split("\n")) == 1 + 2 + 2 + len(before.trials)
