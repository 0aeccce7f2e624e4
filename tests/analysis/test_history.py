from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.history import History, Series, build_history
from harness.core.case import Case
from harness.core.environment import Environment
from harness.core.measurement import Measurement
from harness.core.metric import Direction, Metric
from harness.core.run import MeasuredRun
from harness.core.run_description import COMPLETE, RunDescription
from harness.core.suite import Policy
from harness.detect import detect_environment

CASE, OTHER = Case("work", "plain", (("n", 4),)), Case("work", "other", (("n", 4),))
HERE = replace(detect_environment(), git_dirty=False)
POLICY = Policy(device="cpu", threads=2, mode="host")


def commit(number: int) -> str:
    return f"{number:040x}"


COMMITS = [commit(number) for number in range(100)]


def a_run(
    moment: int,
    value: float,
    *,
    of: str = "",
    metric: str = "time",
    environment: Environment = HERE,
    policy: Policy = POLICY,
    cases: Sequence[Case] = (CASE,),
    own: Metric | None = None,
) -> MeasuredRun:
    rows = tuple(Measurement(case, metric, 10, 5, value, value * 0.99, value * 1.01, own=own) for case in cases)
    environment = replace(environment, git_commit=of or commit(moment))
    started = f"2026-01-01T00:{moment:02}:00"
    description = RunDescription(f"run-{moment:03}", (), policy, environment, COMPLETE, started)
    return MeasuredRun(Path(description.id), description, rows)


def elsewhere(run: MeasuredRun, **changes: object) -> MeasuredRun:
    """Return a run as it would be in another environment."""
    environment = replace(run.description.environment, **changes)
    return replace(run, description=replace(run.description, environment=environment))


def history(runs: Sequence[MeasuredRun], metric: str = "time", topology: Sequence[str] = COMMITS) -> History:
    return build_history(runs, metric, {CASE.id, OTHER.id}, topology)


def only(found: History) -> Series:
    (series,) = found.series
    return series


def stepped(factor: float, runs: int = 30, at: int = 15) -> list[float]:
    source = random.Random(0)
    return [(factor if number >= at else 1.0) * source.gauss(1, 0.002) for number in range(runs)]


def test_points_stand_in_the_order_of_commits_and_runs_of_one_commit_by_time() -> None:
    order = [commit(number) for number in (5, 3, 5, 4, 3)]
    runs = [a_run(moment, 1.0, of=one) for moment, one in enumerate(order)]
    random.Random(1).shuffle(runs)
    series = only(history(runs))
    assert series.ordered_by == "commit"
    assert [(int(p.commit, 16), p.run) for p in series.points] == [
        (3, "run-001"),
        (3, "run-004"),
        (4, "run-003"),
        (5, "run-000"),
        (5, "run-002"),
    ]


@pytest.mark.parametrize("strange", ["f" * 40, "(initial)"])
def test_where_git_does_not_know_a_commit_all_points_stand_by_time_and_it_is_marked(strange: str) -> None:
    runs = [a_run(2, 1.0, of=commit(1)), a_run(1, 1.0, of=strange), a_run(0, 1.0, of=commit(2))]
    series = only(history(runs))
    assert series.ordered_by == "time"
    assert [(p.run, p.known) for p in series.points] == [("run-000", True), ("run-001", False), ("run-002", True)]
    assert only(history(runs, topology=[])).ordered_by == "time"


def test_a_change_lies_between_commits_and_has_a_word_for_its_direction() -> None:
    for factor, metric, word in (
        (1.05, "time", "slower"),
        (0.95, "time", "faster"),
        (1.05, "flops_per_s", "better"),
        (1.05, "peak_memory", "worse"),
        (1.05, "others_share", "higher"),
        (0.95, "others_share", "lower"),
    ):
        runs = [a_run(moment, value, metric=metric) for moment, value in enumerate(stepped(factor))]
        series = only(history(runs, metric))
        (step,) = series.changes
        assert (series.label, step.direction) == ("changed", word)
        assert (step.before.commit, step.after.commit) == (commit(14), commit(15))
        assert not step.within_commit
        assert step.change.ci_low < factor - 1 < step.change.ci_high


def test_the_change_that_matters_is_that_of_the_metric() -> None:
    errors = [a_run(moment, value, metric="rms_error") for moment, value in enumerate(stepped(1.2))]
    assert only(history(errors, "rms_error")).label == "stable"
    errors = [a_run(moment, value, metric="rms_error") for moment, value in enumerate(stepped(1.3))]
    assert only(history(errors, "rms_error")).label == "changed"


def test_a_drift_has_a_direction_and_no_changes() -> None:
    source = random.Random(0)
    runs = [a_run(moment, (1 - 0.004 * moment) * source.gauss(1, 0.01)) for moment in range(50)]
    series = only(history(runs))
    assert (series.label, series.direction, series.changes) == ("drift", "faster", ())
    assert series.drift == pytest.approx(-0.2, abs=0.03)


def test_runs_of_one_clean_commit_that_differ_are_not_blamed_on_it() -> None:
    runs = [a_run(moment, value, of=commit(7)) for moment, value in enumerate(stepped(1.05))]
    assert only(history(runs)).changes[0].within_commit
    changed = [elsewhere(run, git_dirty=True) for run in runs[15:]]
    assert not only(history(runs[:15] + changed)).changes[0].within_commit
    nowhere = [elsewhere(run, git_commit="") for run in runs]
    assert not only(history(nowhere)).changes[0].within_commit


def test_a_setting_or_a_machine_of_its_own_is_a_series_of_its_own() -> None:
    settings = (
        {"policy": replace(POLICY, threads=4)},
        {"policy": replace(POLICY, mode="cold")},
        {"policy": replace(POLICY, device="cuda:0")},
        {"environment": replace(HERE, kernel="another")},
        {"cases": (OTHER,)},
    )
    for setting in settings:
        runs = [a_run(moment, value, **(setting if value > 1.5 else {})) for moment, value in enumerate(stepped(2.0))]
        found = history(runs)
        assert [len(series.points) for series in found.series] == [15, 15]
        assert {series.label for series in found.series} == {"stable"}


def test_what_says_nothing_of_the_machine_does_not_part_a_series() -> None:
    runs = [
        a_run(moment, value, environment=replace(HERE, load_1min=float(moment), host=str(moment)))
        for moment, value in enumerate(stepped(1.05))
    ]
    found = history(runs)
    assert only(found).label == "changed"
    assert found.environment_changes == ()


def test_another_environment_is_told_once_with_what_differs_for_all_cases_that_met_it() -> None:
    other = replace(HERE, kernel="another")
    runs = [
        a_run(moment, 1.0, environment=other if moment in (3, 5, 6) else HERE, cases=(CASE, OTHER))
        for moment in range(8)
    ]
    runs.append(a_run(9, 1.0, environment=replace(other, governor="powersave")))
    first, second = history(runs).environment_changes
    assert (first.run, first.before, first.after) == ("run-003", HERE.fingerprint, other.fingerprint)
    assert first.differences == (f"kernel: {HERE.kernel} -> another",)
    assert first.cases == [CASE.id, OTHER.id]
    assert (second.run, second.before, second.cases) == ("run-009", HERE.fingerprint, [CASE.id])
    assert len(second.differences) == 2


def test_few_points_have_no_verdict_and_it_is_said_how_many_are_missing() -> None:
    runs = [a_run(moment, value) for moment, value in enumerate(stepped(2.0, 11, 5))]
    series = only(history(runs))
    assert (series.label, series.needed, series.changes) == ("no verdict", 1, ())
    enough = [a_run(moment, value) for moment, value in enumerate(stepped(2.0, 12, 6))]
    assert only(history(enough)).label == "changed"


def test_zeros_are_stable_if_they_are_all_and_have_no_verdict_if_they_are_not() -> None:
    zeros = [a_run(moment, 0.0, metric="max_abs_error") for moment in range(20)]
    assert only(history(zeros, "max_abs_error")).label == "stable"
    mixed = [a_run(moment, float(moment > 9), metric="max_abs_error") for moment in range(20)]
    series = only(history(mixed, "max_abs_error"))
    assert series.label == "no verdict"
    assert "not above zero" in series.note


def test_a_number_that_is_none_is_no_point() -> None:
    runs = [a_run(moment, float("nan") if moment % 2 else 1.0) for moment in range(30)]
    assert len(only(history(runs)).points) == 15


@pytest.mark.parametrize(("better", "word"), [("lower", "worse"), ("higher", "better"), (None, "higher")])
def test_a_metric_of_the_workload_has_its_own_unit_and_direction(better: Direction | None, word: str) -> None:
    kept = Metric("kept", "B", better, "x")
    runs = [a_run(number, value, metric="kept", own=kept) for number, value in enumerate(stepped(1.5))]
    series = only(history(runs, "kept"))
    assert series.unit == "B"
    assert [step.direction for step in series.changes] == [word]
