"""How commands end when something goes wrong that nobody foresaw: an exit code that says so, and one line."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.run import Run
from tests.support.command import BENCH, environment

Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]


def ended(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run the console script to its end, in this folder."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment(), **options}
    return subprocess.run((BENCH, *arguments), text=True, timeout=120, check=False, **pipes)  # type: ignore[call-overload, no-any-return]


def one_line(text: str) -> str:
    (line,) = text.splitlines()
    assert line.startswith("bench: ")
    return line


@pytest.fixture
def slower(place: Path, record: Record, draw: Draw) -> tuple[str, str]:
    """Two runs, the second of which is slower."""
    return str(record({"base": draw(1)}).folder), str(record({"base": draw(2, 1.2)}).folder)


def test_a_verdict_stands_where_the_job_summary_cannot_be_written(slower: tuple[str, str], place: Path) -> None:
    base, new = slower
    command = ("gate", new, "--baseline", base, "--budget", "0")
    (place / "folder").mkdir()
    done = ended(*command, env=environment(GITHUB_STEP_SUMMARY=str(place / "folder")))
    assert done.returncode == 1
    assert "1 regressed (exit code 1)" in done.stdout
    assert "job summary" in done.stderr
    assert ended(*command, env=environment(GITHUB_STEP_SUMMARY=str(place / "summary.md"))).returncode == 1
    assert "slower" in (place / "summary.md").read_text()


@pytest.mark.parametrize("command", [("list",), ("list", "--flags"), ("--help",)])
def test_output_that_cannot_be_written_is_a_failure_of_the_harness(place: Path, command: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        done = ended(*command, stdout=full)
    assert done.returncode == 4
    assert "No space left" in one_line(done.stderr)


def test_the_reader_of_a_pipe_may_leave_early(place: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        done = ended("list", stdout=closed)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_output_in_ascii_has_what_it_can_hold(slower: tuple[str, str]) -> None:
    done = ended("show", slower[0], env=environment(PYTHONIOENCODING="ascii", LC_ALL="C"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


@pytest.mark.parametrize(
    "option",
    [
        "--launches=1e400",
        "--launches=1e30",
        "--budget=1e400s",
        "--timeout=1e300h",
        "--precision=1e400%",
        "--seed=1" + "0" * 40,
    ],
)
def test_a_number_beyond_all_bounds_is_refused(place: Path, option: str) -> None:
    done = ended("run", "calibration", option, "--dry-run")
    assert done.returncode == 2
    assert option.partition("=")[0] in one_line(done.stderr)


@pytest.mark.parametrize("option", ["--launches=2", "--budget=1s", "--timeout=1h", "--precision=3%", "--seed=10"])
def test_numbers_within_the_bounds_are_taken(place: Path, option: str) -> None:
    assert ended("run", "calibration", option, "--dry-run").returncode == 0


def test_an_option_that_is_given_twice_is_refused(place: Path) -> None:
    done = ended("run", "calibration", "--duration", "1ms", "--duration", "2ms", "--dry-run")
    assert done.returncode == 2
    assert "--duration is given 2 times" in one_line(done.stderr)


def test_results_that_are_a_file_cost_one_line(place: Path) -> None:
    (place / "results").write_text("")
    done = ended("run", "calibration", "--impl", "noop", "--launches", "1", "--budget", "0.1s")
    assert done.returncode == 2
    assert "cannot write to results" in one_line(done.stderr)


def test_what_nobody_foresaw_is_not_taken_for_a_regression(place: Path) -> None:
    (place / "mine.py").write_text("import harness.detect as d\ndel d.detect_environment.__globals__['platform']\n")
    done = ended("run", "calibration", "--load", "mine.py", "--dry-run")
    assert done.returncode == 4
    line = one_line(done.stderr)
    assert "the harness failed" in line
    assert Path(line.partition("traceback is in ")[2].partition(":")[0]).read_text().startswith("Traceback")
