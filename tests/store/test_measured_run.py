from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from harness.analysis.measurements import summarize_trials
from harness.core.case import Case, Group, PlannedCase
from harness.core.errors import UsageError
from harness.core.run_description import COMPLETE, INTERRUPTED
from harness.core.suite import Policy
from harness.core.trial import OK, Sample, Trial
from harness.core.workload import Cost
from harness.store.measured_run import read_measured_run, read_measured_runs
from harness.store.read import read_run
from tests.support.runs import here, recorded_run

CASE = Case("work", "plain", (("n", 4), ("causal", False)))
GROUP = Group(CASE.group, "plain", (PlannedCase(CASE, Cost(8.0, 16.0)),))
POLICY = Policy(launches=2, device="cpu", threads=3)
COMMIT = "0123456789" * 4


def a_run(results: Path, name: str, state: str = COMPLETE) -> Path:
    environment = here(git_commit=COMMIT, git_dirty=True)
    samples = [Sample("time", 1e-3 * (1 + 0.01 * r), r, 0, "a,b") for r in range(8)] + [Sample("max_abs_error", 0.5)]
    trials = [Trial(CASE, launch, OK, samples=samples) for launch in range(2)]
    run = recorded_run(results, [GROUP], trials, run_id=name, policy=POLICY, environment=environment, state=state)
    return run.folder


def edit(folder: Path, **fields: object) -> None:
    meta = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({**meta, **fields}))


def test_a_measured_run_holds_what_was_measured_and_where_it_comes_from(tmp_path: Path) -> None:
    folder = a_run(tmp_path, "one")
    measured, run = read_measured_run(folder), read_run(folder)
    assert (measured.folder, measured.description) == (folder, run.description)
    assert (run.id, run.policy) == ("one", POLICY)
    assert (run.environment.git_commit, run.environment.git_dirty) == (COMMIT, True)
    expected = summarize_trials(run.groups, run.trials)
    # NaN differs from itself, and the error has no interval.
    assert repr(list(measured.measurements)) == repr(expected)
    assert {m.metric for m in expected} == {"time", "max_abs_error", "flops_per_s", "bytes_per_s"}


def test_the_samples_are_not_read(tmp_path: Path) -> None:
    folder = a_run(tmp_path, "one")
    (folder / "samples.parquet").unlink()
    (folder / "trials.parquet").unlink()
    assert read_measured_run(folder).measurements


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: edit(folder, schema_version=99), "written by a newer version (schema 99"),
        (lambda folder: edit(folder, state=INTERRUPTED), "is not complete: it is interrupted"),
        (lambda folder: edit(folder, revision={"role": "slowed", "planted": 0.05}), "was made slower on purpose"),
        (lambda folder: edit(folder, plan=[]), "a table has 'work/plain[n=4,causal=false]', which"),
        (lambda folder: (folder / "run.json").write_text("[]"), "run.json: not the description of a run"),
        (lambda folder: (folder / "run.json").write_text("{"), "run.json: not JSON"),
        (lambda folder: (folder / "measurements.parquet").write_bytes(b"PAR1"), "cannot be read"),
        (lambda folder: (folder / "measurements.parquet").unlink(), "cannot be read"),
        (lambda folder: (folder / "run.json").unlink(), "is not a run folder: it has no run.json"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_no_usable_run_is_named_and_the_others_are_read(tmp_path: Path, damage: object, message: str) -> None:
    bad, good = a_run(tmp_path, "bad"), a_run(tmp_path, "good")
    assert callable(damage)
    damage(bad)
    with pytest.raises(UsageError) as error:
        read_measured_run(bad)
    assert message in str(error.value)
    (run,), (reason,) = read_measured_runs([bad, good])
    assert str(bad) in reason
    assert run.description.id == "good"


def test_a_run_that_is_also_a_baseline_counts_once(tmp_path: Path) -> None:
    folder = a_run(tmp_path, "one")
    copy = tmp_path / "baselines" / "main" / "one"
    shutil.copytree(folder, copy)
    runs, left_out = read_measured_runs([folder, copy])
    assert ([run.folder for run in runs], left_out) == ([folder], [])
