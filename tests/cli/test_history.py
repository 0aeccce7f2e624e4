"""``bench history`` over made-up runs of real commits, through the real console script."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.environment import Environment
from harness.core.measurement import Measurement
from harness.core.run_description import COMPLETE, INTERRUPTED
from harness.core.suite import Policy
from harness.detect import detect_environment
from tests.support.command import bench
from tests.support.git import commit, git
from tests.support.runs import recorded_run

POINT = (("n", 4), ("causal", False))
STEPPED, STEADY, DRIFTING = (Case("work", name, POINT) for name in ("stepped", "steady", "drifting"))
RUNS = 40


def a_run(folder: Path, number: int, environment: Environment, times: dict[Case, float], state: str = COMPLETE) -> Path:
    """Write a run as it would be after it was measured, without its samples."""
    group = Group(STEPPED.group, "steady", tuple(map(PlannedCase, times)))
    rows = [Measurement(case, "time", 20, 5, time, time * 0.99, time * 1.01) for case, time in times.items()]
    errors = [Measurement(case, "max_abs_error", 1, 1, 0.0, float("nan"), float("nan")) for case in times]
    run = recorded_run(
        folder / "results",
        [group],
        [],
        run_id=f"run-{number:03}",
        policy=Policy(device="cpu", threads=2, mode="host"),
        environment=environment,
        measurements=[*rows, *errors],
        state=state,
        started_at=f"2026-01-01T00:{number:02}:00.000+00:00",
    )
    return run.folder


def times(number: int, source: random.Random) -> dict[Case, float]:
    """Return times with 1 % noise: one case steps up by 8 % at run 25, one drifts by 20 % over all of them."""
    factors = {STEPPED: 1.08 if number >= 25 else 1.0, STEADY: 1.0, DRIFTING: 1 + 0.2 * number / RUNS}
    return {case: 1e-3 * factor * source.gauss(1, 0.01) for case, factor in factors.items()}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A repository of 40 commits with a run of each; the runs were made in another order than the commits."""
    folder = tmp_path_factory.mktemp("checkout")
    git(folder, "init", "--quiet")
    commits = [commit(folder, f"change {number}") for number in range(RUNS)]
    source, here = random.Random(0), detect_environment()
    for number, one in enumerate(commits):
        moment = (number * 7) % RUNS
        a_run(folder, moment, replace(here, git_commit=one, git_dirty=False), times(number, source))
    return folder, commits


def history(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return bench("history", *arguments, cwd=folder)


def document(folder: Path, *arguments: str) -> dict[str, Any]:
    done = history(folder, *arguments, "--json")
    assert done.returncode == 0, done.stderr

    def no_constants(name: str) -> None:
        pytest.fail(f"{name} is no JSON")

    return dict(json.loads(done.stdout, parse_constant=no_constants))


def test_a_step_is_named_with_its_commits_and_the_rest_with_what_it_is(checkout: tuple[Path, list[str]]) -> None:
    folder, commits = checkout
    done = history(folder)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    (step,) = [line for line in lines if "slower, +" in line and ".." in line and "drifts" not in line]
    before, after = step.rpartition(" in ")[2].split("..")
    assert commits.index(git(folder, "rev-parse", before)) < 25 <= commits.index(git(folder, "rev-parse", after))
    assert commits.index(git(folder, "rev-parse", after)) - commits.index(git(folder, "rev-parse", before)) <= 3
    (search,) = [line.strip() for line in lines if line.strip().startswith("bench bisect ")]
    assert search == f"bench bisect work --impl stepped --n 4 --causal false --against {before}..{after}"
    rows = {line.split()[0]: line for line in lines if "▁" in line or "▄" in line}
    assert "1 change" in rows["stepped"]
    assert rows["steady"].rstrip().endswith("stable")
    assert "drift +" in rows["drifting"]
    assert any(line.strip().startswith("drifting drifts slower, +") for line in lines)
    assert "ordered by commit" in lines[-1]
    assert "\x1b" not in done.stdout


def test_machines_get_every_point_and_change(checkout: tuple[Path, list[str]]) -> None:
    folder, commits = checkout
    found = document(folder, "stepped")
    assert (found["environment_changes"], found["unreadable"]) == ([], [])
    (series,) = found["series"]
    assert (series["case"], series["metric"], series["label"]) == (STEPPED.id, "time", "changed")
    assert (series["threads"], series["mode"], series["device"]) == (2, "host", "cpu")
    assert [point["commit"] for point in series["points"]] == commits
    assert all(point["ci_low"] < point["value"] < point["ci_high"] for point in series["points"])
    (change,) = series["changes"]
    assert change["ci_low"] < 0.08 < change["ci_high"]
    assert change["direction"] == "slower"
    assert commits.index(change["last_before"]) < 25 <= commits.index(change["first_after"])
    error = document(folder, "stepped", "--metric", "max_abs_error")["series"][0]
    assert (error["label"], error["points"][0]["ci_low"]) == ("stable", None)


@pytest.mark.parametrize(("word", "number"), [("", 3), ("ste", 2), ("work/*[n=4", 3), (STEADY.id, 1), ("dr?ft", 1)])
def test_a_case_is_chosen_by_its_name_a_part_of_it_or_a_pattern(
    checkout: tuple[Path, list[str]], word: str, number: int
) -> None:
    assert len(document(checkout[0], word)["series"]) == number


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("stepprd",), "unknown case 'stepprd'; did you mean 'stepped'?"),
        (("work/stepped[n=5,causal=false]",), f"did you mean '{STEPPED.id}'?"),
        (("--metric", "tine"), "unknown metric 'tine'; did you mean 'time'?"),
        (("--since", "mister"), "unknown revision 'mister'"),
        (("--results", "nowhere"), "there is no complete run in nowhere"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_answered_is_one_line_and_exit_code_2(
    checkout: tuple[Path, list[str]], arguments: tuple[str, ...], message: str
) -> None:
    done = history(checkout[0], *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("bench: ")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_since_leaves_out_what_was_measured_of_ancestors(checkout: tuple[Path, list[str]]) -> None:
    folder, commits = checkout
    (series,) = document(folder, "stepped", "--since", commits[10])["series"]
    assert [point["commit"] for point in series["points"]] == commits[10:]
    done = history(folder, "--since", "HEAD~4")
    assert "needs 7 more runs" in done.stdout
    assert "left out: 35 runs of earlier commits" in done.stdout
    nothing = history(folder, "--since", commit_of_a_new_branch(folder))
    assert nothing.returncode == 0
    assert "left out: 40 runs" in nothing.stdout


def commit_of_a_new_branch(folder: Path) -> str:
    tree = git(folder, "rev-parse", "HEAD^{tree}")
    new = git(folder, "commit-tree", tree, "-p", "HEAD", "-m", "later")
    git(folder, "branch", "--force", "later", new)
    return new


def test_outside_git_points_are_ordered_by_time_and_commits_are_marked(
    checkout: tuple[Path, list[str]], tmp_path: Path
) -> None:
    folder, commits = checkout
    done = history(tmp_path, "steady", "--results", str(folder / "results"))
    assert done.returncode == 0, done.stderr
    assert f"ordered by time where git does not know every commit: {commits[0][:10]}?" in done.stdout
    (series,) = document(tmp_path, "steady", "--results", str(folder / "results"))["series"]
    assert series["ordered_by"] == "time"
    moments = [point["started_at"] for point in series["points"]]
    assert moments == sorted(moments)
    assert not any(point["known"] for point in series["points"])


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Callable[[int], Environment]]:
    """A repository with one commit, and its environment with a kernel of a number."""
    git(tmp_path, "init", "--quiet")
    one = commit(tmp_path, "only")
    here = replace(detect_environment(), git_commit=one, git_dirty=False)
    return tmp_path, lambda kernel: replace(here, kernel=f"{kernel}.0")


def test_another_machine_is_a_row_of_its_own_and_no_commit_is_blamed(
    place: tuple[Path, Callable[[int], Environment]],
) -> None:
    folder, kernel = place
    for number in range(30):
        machine = kernel(1 if number < 15 else 2)
        a_run(folder, number, machine, {STEADY: 1e-3 if number < 15 else 2e-3, STEPPED: 1e-3})
    found = document(folder)
    (change,) = found["environment_changes"]
    assert change["differences"] == ["kernel: 1.0 -> 2.0"]
    assert (change["run"], change["cases"]) == ("run-015", [STEADY.id, STEPPED.id])
    assert [len(series["points"]) for series in found["series"]] == [15] * 4
    assert not any(series["changes"] for series in found["series"])
    text = history(folder).stdout
    before, after = f"@{change['before'][:6]}", f"@{change['after'][:6]}"
    assert f"environment {before} -> {after} of 2 cases from run-015: kernel: 1.0 -> 2.0" in text
    assert f"steady {before}" in text


def test_a_change_between_runs_of_one_commit_is_not_blamed_on_it(
    place: tuple[Path, Callable[[int], Environment]],
) -> None:
    folder, kernel = place
    for number in range(20):
        a_run(folder, number, kernel(1), {STEADY: 2e-3 if number < 10 else 1e-3})
    text = history(folder).stdout
    assert "steady faster, -50.0% (-50.0% to -50.0%) between runs of " in text
    assert "the code is not the cause" in text


def test_runs_that_are_unfinished_or_damaged_are_named_and_the_others_shown(
    place: tuple[Path, Callable[[int], Environment]],
) -> None:
    folder, kernel = place
    a_run(folder, 0, kernel(1), {STEADY: 1e-3})
    unfinished = a_run(folder, 1, kernel(1), {STEADY: 1e-3}, INTERRUPTED)
    damaged = a_run(folder, 2, kernel(1), {STEADY: 1e-3})
    (damaged / "measurements.parquet").write_bytes(b"PAR1")
    done = history(folder)
    assert done.returncode == 0
    assert "needs 11 more runs" in done.stdout
    assert f"left out: results/{unfinished.name} is not complete: it is interrupted" in done.stdout
    assert f"left out: results/{damaged.name} cannot be read" in done.stdout
    assert len(document(folder)["unreadable"]) == 2


def test_nothing_but_unfinished_runs_is_exit_code_2(place: tuple[Path, Callable[[int], Environment]]) -> None:
    folder, kernel = place
    a_run(folder, 1, kernel(1), {STEADY: 1e-3}, INTERRUPTED)
    done = history(folder)
    assert done.returncode == 2
    assert "there is no complete run in results; results/run-001 is not complete" in done.stderr
