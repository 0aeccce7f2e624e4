"""``bench results`` through the real console script."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.core.run import Run
from harness.core.run_description import INTERRUPTED
from harness.core.suite import Policy
from harness.core.trial import Sample, Trial
from harness.core.variant import Variant
from harness.store.read import read_run
from harness.store.write import append_event
from tests.support.command import BENCH, environment

Record = Callable[..., Run]
Bench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def record(record: Record, place: Path) -> Record:
    """Write runs into the folder that the command looks at."""
    return lambda times, **options: record(times, results=place / "results", **options)


def document(bench: Bench, *arguments: str) -> Any:
    done = bench("results", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(done: subprocess.CompletedProcess[str], *messages: str) -> None:
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: ")
    assert done.stderr.count("\n") == 1
    for message in messages:
        assert message in done.stderr


def test_a_list_has_one_line_a_run_and_the_newest_last(record: Record, bench: Bench) -> None:
    first = record({"base": [[1e-3, 2e-3], [3e-3]], "new": "crashed: signal 9"}, git_commit="0123456789abcdef")
    last = record({"base": [[5e-3]]}, state=INTERRUPTED)
    done = bench("results", "list")
    assert done.returncode == 0, done.stderr
    header, one, other = done.stdout.splitlines()
    assert header.split() == "run started workloads machine commit state cases failed samples size".split()
    assert one.split()[0] == first.id
    assert " work " in one
    assert " 0123456789 " in one
    assert f"@{first.environment.fingerprint[:6]} " in one
    assert " complete " in one
    size = sum(path.stat().st_size for path in first.folder.iterdir())
    assert one.split()[-5:] == ["2", "1", "3", *f"{size / 1024:.1f} KiB".split()]
    assert other.split()[0] == last.id
    assert " interrupted " in other
    found = document(bench, "list")
    assert [(run["run_id"], run["cases"], run["failures"], run["samples"]) for run in found["runs"]] == [
        (first.id, 2, 1, 3),
        (last.id, 1, 0, 1),
    ]
    assert found["runs"][0]["size"] == size


def test_show_has_the_median_of_all_samples_of_a_case(record: Record, bench: Bench, draw: Any) -> None:
    times = [draw(seed, 1 + seed / 10) for seed in range(3)]
    for one in times:
        record({"base": one, "other": [[1.0]]})
    every = [value for one in times for launch in one for value in launch]
    base, other = document(bench, "show")["rows"]
    assert base["case"] == "work/base[n=4]"
    assert base["median"] == pytest.approx(statistics.median(every), rel=1e-12)
    assert (base["runs"], base["samples"], base["unit"]) == (3, len(every), "s")
    assert (other["median"], other["runs"], other["samples"]) == (1.0, 3, 3)
    done = bench("results", "show", "--case", "ba?e")
    header, line = done.stdout.splitlines()
    assert header.split() == ["case", "machine", "time", "runs", "samples"]
    assert line.split()[-4:] == ["1.10", "ms", "3", "300"]


def test_what_says_nothing_is_in_no_median(record: Record, bench: Bench) -> None:
    run = record({"base": [[1e-3]]}, extra={"energy_gross": float("nan")}, state=INTERRUPTED)
    (trial,) = run.trials
    append_event(
        run.folder, Trial(trial.case, 1, "incorrect", samples=[Sample("time", 9.0, 0), Sample("max_abs_error", 0.5)])
    )
    record({"base": [[100.0]]}, variant=Variant("slowed", "x", planted=0.05))
    found = document(bench, "show")
    assert [(row["median"], row["runs"], row["samples"]) for row in found["rows"]] == [(1e-3, 1, 1)]
    assert ["was made slower on purpose" in line for line in found["left_out"]] == [True]
    (error,) = document(bench, "show", "--metric", "max_abs_error")["rows"]
    assert error["median"] == 0.5
    refused(bench("results", "show", "--metric", "energy_gross"), "unknown metric 'energy_gross'")


def test_machines_and_settings_have_a_median_each(record: Record, bench: Bench) -> None:
    record({"base": [[1e-3]]})
    record({"base": [[2e-3]]}, cpu_model="Intel(R) Xeon(R) CPU @ 2.00GHz")
    record({"base": [[4e-3]]}, policy=Policy(device="cpu", threads=4, mode="host"))
    record({"base": [[6e-3]]}, policy=Policy(device="cpu", threads=4, mode="host"))
    rows = document(bench, "show")["rows"]
    assert sorted((row["median"], row["setting"]["threads"], row["runs"]) for row in rows) == [
        (1e-3, 1, 1),
        (2e-3, 1, 1),
        (5e-3, 4, 2),
    ]
    text = bench("results", "show").stdout
    assert "  Intel Xeon  " in text
    assert " 1 threads  " in text
    assert " 4 threads  " in text


def test_what_cannot_be_read_is_named_and_the_others_are_shown(record: Record, bench: Bench) -> None:
    bad, _ = record({"base": [[1e-3]]}), record({"base": [[2e-3]]})
    (bad.folder / "samples.parquet").write_bytes(b"PAR1")
    for command in ("list", "show"):
        done = bench("results", command)
        assert done.returncode == 0
        assert f"left out: results/{bad.id}: samples.parquet is no whole Parquet file" in done.stdout
        assert len(document(bench, command)["left_out"]) == 1
    refused(bench("results", "show", f"results/{bad.id}"), "samples.parquet is no whole Parquet file")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("shwo",), "No such command 'shwo'"),
        (("list", "resluts"), "unknown place 'resluts'; did you mean 'results'?"),
        (("show", "--case", "baes"), "unknown case 'baes'; did you mean 'base'?"),
        (("show", "--metric", "tiem"), "unknown metric 'tiem'; did you mean 'time'?"),
        (("rm", "latets", "--yes"), "unknown run 'latets'; did you mean 'latest'?"),
        (("rm", "results", "--yes"), "unknown run 'results'"),
        (("merge", "latets", "-o", "all"), "unknown run 'latets'; did you mean 'latest'?"),
        (("merge", "latest", "-o", "results"), "results is there already"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_wrong_word_is_one_line_and_exit_code_2(
    record: Record, bench: Bench, place: Path, arguments: tuple[str, ...], message: str
) -> None:
    run = record({"base": [[1e-3]]})
    refused(bench("results", *arguments), message)
    assert read_run(run.folder).trials == run.trials
    assert [path.name for path in place.iterdir()] == ["results"]


def test_rm_removes_the_runs_that_are_named_and_says_what_it_freed(record: Record, bench: Bench, place: Path) -> None:
    one, other, kept = (record({"base": [[float(number)]]}) for number in range(3))
    size = sum(path.stat().st_size for path in one.folder.iterdir())
    done = bench("results", "rm", one.id, f"results/{one.id}", str(other.folder), "--yes")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == f"removed results/{one.id}: {size / 1024:.1f} KiB freed"
    assert other.id in second
    assert [path.name for path in (place / "results").iterdir()] == [kept.id]


def test_rm_without_a_terminal_and_without_yes_removes_nothing(record: Record, bench: Bench) -> None:
    run = record({"base": [[1e-3]]})
    refused(bench("results", "rm", "latest"), "--yes", f"results/{run.id}")
    assert read_run(run.folder).trials == run.trials


@pytest.mark.parametrize("answer", ["n", "y"])
def test_rm_asks_at_a_terminal_and_does_as_it_is_told(record: Record, answer: str) -> None:
    run = record({"base": [[1e-3]]})
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        (BENCH, "results", "rm", "latest"), env=environment(), stdin=theirs, stdout=subprocess.PIPE, text=True
    )
    os.write(ours, f"{answer}\n".encode())
    out, _ = running.communicate(timeout=60)
    os.close(theirs)
    os.close(ours)
    assert running.returncode == 0
    assert out.startswith(f"Remove results/{run.id}? ")
    assert ("freed" in out) is (answer == "y")
    assert run.folder.exists() is (answer == "n")


def test_rm_refuses_what_holds_more_than_one_run(record: Record, bench: Bench, place: Path) -> None:
    run = record({"base": [[1e-3]]})
    shutil.copy(run.folder / "run.json", place / "results" / "run.json")
    (place / "link").symlink_to(run.folder)
    for word in ("results", "link"):
        refused(bench("results", "rm", word, "--yes"), f"{word} is not one run folder")
    assert read_run(run.folder).trials == run.trials


def test_a_run_that_is_being_measured_is_not_removed_and_one_that_was_killed_is(
    place: Path, bench: Bench, start: Callable[..., subprocess.Popen[str]]
) -> None:
    running = start("run", "calibration", "--impl", "twin_a", "--launches", "1", "--budget", "60s", "--quiet")
    end = time.monotonic() + 60
    while not list(place.glob("results/*/journal.jsonl")) or not list(place.glob("*.lock")):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
    (folder,) = place.glob("results/*")
    refused(bench("results", "rm", "latest", "--yes"), f"results/{folder.name} is being measured at the moment")
    assert (folder / "journal.jsonl").exists()
    running.send_signal(signal.SIGKILL)
    running.communicate(timeout=60)
    done = bench("results", "rm", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    assert not folder.exists()


def test_merged_runs_are_shown_as_the_ones_that_they_were_made_of(record: Record, bench: Bench, place: Path) -> None:
    for number in range(3):
        record({"base": [[1e-3 * (number + 1)]], "other": [[1.0]]})
    before = bench("results", "show").stdout
    done = bench("results", "merge", "results/*", "-o", "all")
    assert (done.returncode, done.stdout) == (0, "all: 3 runs\n"), done.stderr
    shutil.rmtree(place / "results")
    assert bench("results", "show", "all").stdout == before
    runs = document(bench, "list", "all")["runs"]
    assert [(run["cases"], run["samples"], run["size"]) for run in runs] == [(2, 2, None)] * 3
    refused(bench("results", "merge", "all", "-o", "all"), "all is there already")


def test_merging_names_what_is_left_out(record: Record, bench: Bench) -> None:
    bad, _ = record({"base": [[1e-3]]}), record({"base": [[2e-3]]})
    (bad.folder / "samples.parquet").write_bytes(b"PAR1")
    done = bench("results", "merge", "results", "-o", "all")
    assert (done.returncode, done.stdout) == (0, "all: 1 run\n")
    assert f"bench: left out: results/{bad.id}: samples.parquet is no whole Parquet file\n" == done.stderr
