"""Runs that lie in a bucket: a real S3 over loopback, and the client that a user would have."""

from __future__ import annotations

import logging
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import s3fs
from moto.server import ThreadedMotoServer

from harness.core.errors import UsageError
from harness.core.run import Run
from harness.core.run_description import INTERRUPTED
from harness.resolve import resolve_run
from harness.store.dataframes import read_tables
from harness.store.find import find_runs, read_kept_runs
from harness.store.measured_run import read_measured_run
from harness.store.place import resolve_place
from harness.store.read import read_run

Record = Callable[..., Run]
Bench = Callable[..., subprocess.CompletedProcess[str]]
TIMES = {"base": [[1e-3, 2e-3], [3e-3]], "new": [[4e-3]]}


@pytest.fixture(scope="module")
def server() -> Iterator[dict[str, str]]:
    """Start an S3 of the test's own, and return the environment in which clients find it."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    started = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    started.start()
    host, port = started.get_host_and_port()
    variables = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        yield variables
    s3fs.S3FileSystem.clear_instance_cache()
    started.stop()


@pytest.fixture
def bucket(server: dict[str, str], request: pytest.FixtureRequest) -> str:
    name = f"bucket-{abs(hash(request.node.nodeid))}"
    s3fs.S3FileSystem().mkdir(name)
    return name


@pytest.fixture
def kept(record: Record, tmp_path: Path, bucket: str) -> tuple[Run, Run, str]:
    """A complete run and one that was interrupted, in ``s3://bucket/results``; and that place."""
    runs = record(TIMES), record({"base": [[5e-3]]}, state=INTERRUPTED)
    s3fs.S3FileSystem().put(str(tmp_path / "results"), f"{bucket}/results", recursive=True)
    return *runs, f"s3://{bucket}/results"


def test_a_run_in_a_bucket_is_the_run_that_was_put_there(kept: tuple[Run, Run, str]) -> None:
    complete, interrupted, place = kept
    for run in (complete, interrupted):
        folder = resolve_run(f"{place}/{run.id}", Path("results"))
        assert str(folder) == f"{place}/{run.id}"
        found = read_run(folder)
        assert (found.trials, found.groups, found.policy) == (run.trials, run.groups, run.policy)
        assert found.environment == run.environment
    measured = read_measured_run(resolve_place(f"{place}/{complete.id}")).measurements
    assert repr(measured) == repr(read_measured_run(complete.folder).measurements)


def test_runs_in_a_bucket_are_found_by_their_names(kept: tuple[Run, Run, str]) -> None:
    complete, interrupted, place = kept
    results = resolve_place(place)
    names = [run.id for run in sorted((complete, interrupted), key=lambda run: run.id)]
    assert [folder.name for folder in find_runs(results)] == names
    assert {kept.description.id: kept.description.state for kept in read_kept_runs(results)} == {
        complete.id: "complete",
        interrupted.id: "interrupted",
    }
    assert resolve_run("latest", results).name == interrupted.id
    assert resolve_run(complete.id, results).name == complete.id
    with pytest.raises(UsageError, match="is not a run folder"):
        resolve_run(place, Path("results"))


def test_tables_of_a_bucket_are_those_of_the_folders(kept: tuple[Run, Run, str]) -> None:
    complete, interrupted, place = kept
    here = read_tables(str(complete.folder), str(interrupted.folder))
    for words in ((place,), (f"{place}/",), (f"{place}/*",), (f"{place}/{complete.id}", str(interrupted.folder))):
        there = read_tables(*words)
        assert sorted(there.samples["value"]) == sorted(here.samples["value"]) == [1e-3, 2e-3, 3e-3, 4e-3, 5e-3]
        assert there.environment["folder"].iloc[0] == f"{place}/{complete.id}"
        assert there.left_out == ()
    assert list(read_tables(f"{place}/*{interrupted.id[-6:]}").environment["run_id"]) == [interrupted.id]


def test_what_is_damaged_in_a_bucket_is_named_by_its_place(kept: tuple[Run, Run, str]) -> None:
    complete, _, place = kept
    s3fs.S3FileSystem().pipe(f"{place}/{complete.id}/samples.parquet", b"PAR1")
    s3fs.S3FileSystem().pipe(f"{place}/none/run.json", b"[]")
    found = read_tables(place)
    assert sorted(found.left_out) == sorted(
        [
            f"{place}/{complete.id}: samples.parquet is no whole Parquet file",
            f"{place}/none/run.json: not the description of a run",
        ]
    )
    assert list(found.samples["value"]) == [5e-3]


def test_a_name_in_a_bucket_leads_nowhere_else_on_this_machine(
    kept: tuple[Run, Run, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, place = kept
    s3fs.S3FileSystem().call_s3("put_object", Bucket=place.split("/")[2], Key="results/../escaped/run.json", Body=b"{}")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = set(tmp_path.iterdir())
    assert len(read_tables(place).samples) == 5
    assert set(tmp_path.iterdir()) == before


def test_nothing_there_is_one_line(bucket: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"there is no run in s3://{bucket}/nowhere"):
        read_tables(f"s3://{bucket}/nowhere")
    with pytest.raises(UsageError, match="there is nothing at s3://no-such-bucket/results"):
        read_tables("s3://no-such-bucket/results")
    with pytest.raises(UsageError, match="is not a run folder"):
        resolve_run("s3://no-such-bucket/results/run", tmp_path)


def test_commands_read_a_bucket_and_change_nothing_in_it(
    kept: tuple[Run, Run, str], server: dict[str, str], bench: Bench, place: Path
) -> None:
    complete, interrupted, there = kept
    shown = bench("results", "show", there, **server)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "work/base[n=4]" in shown.stdout
    compared = bench("compare", f"{there}/{complete.id}", f"{there}/{interrupted.id}", **server)
    assert compared.returncode == 0, compared.stderr
    kept_here = bench("baseline", "set", "main", f"{there}/{complete.id}", **server)
    assert kept_here.returncode == 0, kept_here.stderr
    assert read_run(place / "results" / "baselines" / "main" / complete.id).trials == complete.trials
    before = s3fs.S3FileSystem().find(there)
    removed = bench("results", "rm", f"{there}/{complete.id}", "--yes", **server)
    assert removed.returncode == 2
    assert removed.stderr == f"bench: {there}/{complete.id} can be read, and not changed\n"
    client = s3fs.S3FileSystem()
    client.invalidate_cache()
    assert client.find(there) == before


def test_a_server_that_does_not_answer_is_one_line(server: dict[str, str], bench: Bench, place: Path) -> None:
    nobody = {**server, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    for arguments in (("results", "show", "s3://bucket/results"), ("compare", "latest", "s3://bucket/results/a")):
        done = bench(*arguments, **nobody)
        assert done.returncode == 2
        assert done.stderr.startswith("bench: s3://bucket/results")
        assert "cannot be reached: " in done.stderr
        assert done.stderr.count("\n") == 1


def test_what_is_not_installed_is_said_with_how_to_install_it(bench: Bench, place: Path) -> None:
    (place / "s3fs.py").write_text("raise ImportError('No module named s3fs')")
    done = bench("results", "show", "s3://bucket/results", PYTHONPATH=str(place))
    assert done.returncode == 2
    assert done.stderr == "bench: s3:// needs the extra s3: pip install 'benchwright[s3]'\n"
    for word, why in {"gs://bucket/x": "Please install gcsfs", "nonsense://x": "nonsense"}.items():
        done = bench("results", "show", word)
        assert done.returncode == 2
        assert why in done.stderr
        assert done.stderr.count("\n") == 1
