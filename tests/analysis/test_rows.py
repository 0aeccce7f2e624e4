from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path

from harness.analysis.measurements import summarize_trials
from harness.analysis.ratio import compare_times
from harness.analysis.rows import GroupTable, build_result_tables
from harness.core.case import Case, Group, PlannedCase
from harness.core.run import Run
from harness.core.run_description import RunDescription
from harness.core.suite import Policy
from harness.core.trial import INCORRECT, OK, SKIPPED, Sample, Trial
from harness.core.workload import Cost
from harness.detect import detect_environment

POINT = (("n", 4),)
BASE, OTHER = Case("work", "base", POINT), Case("work", "other", POINT)
GROUP = Group("work[n=4]", "base", (PlannedCase(BASE, Cost(flops=100.0)), PlannedCase(OTHER)))


def trial(case: Case, launch: int, rounds: list[list[float]], flags: str = "") -> Trial:
    samples = [Sample("time", v, r, i, flags) for r, values in enumerate(rounds) for i, v in enumerate(values)]
    return Trial(case, launch, OK, samples=samples)


def table_of(*trials: Trial) -> GroupTable:
    description = RunDescription("run", (GROUP,), Policy(), detect_environment())
    (table,) = build_result_tables(Run(Path("run"), description, trials))
    return table


def drifting(case: Case, factor: float, seed: int) -> list[Trial]:
    """Three launches under a drift of 30 %, which both sides of a round share."""
    source = random.Random(seed)
    trials = []
    for launch in range(3):
        rounds = [[factor * (1 + 0.03 * r) * source.gauss(1, 0.002)] for r in range(10)]
        trials.append(trial(case, launch, rounds))
    return trials


def test_pairing_by_round_removes_the_drift_that_both_sides_share() -> None:
    ours, theirs = drifting(OTHER, 1.02, 1), drifting(BASE, 1.0, 2)
    paired = compare_times(ours, theirs, paired=True)
    apart = compare_times(ours, theirs, paired=False)
    assert paired is not None
    assert apart is not None
    assert 1.01 < paired.ci_low < 1.02 < paired.ci_high < 1.03
    assert apart.ci_high - apart.ci_low > 10 * (paired.ci_high - paired.ci_low)


def test_rounds_are_paired_by_number_and_what_has_no_partner_is_left_out() -> None:
    ours, theirs = [trial(OTHER, 0, [[2.0], [4.0], [9.0]])], [trial(BASE, 0, [[1.0], [2.0]])]
    ratio = compare_times(ours, theirs, paired=True)
    assert ratio is not None
    assert math.isclose(ratio.value, 2.0)


def test_work_over_time_is_a_rate_whose_ends_change_places() -> None:
    trials = [trial(BASE, launch, [[1.0 + 0.01 * launch], [1.1], [0.9]]) for launch in range(3)]
    by_metric = {m.metric: m for m in summarize_trials([GROUP], trials)}
    time, rate = by_metric["time"], by_metric["flops_per_s"]
    assert math.isclose(rate.median, 100.0 / time.median)
    assert rate.ci_low < rate.median < rate.ci_high
    assert math.isclose(rate.ci_low, 100.0 / time.ci_high)
    assert {"hardware_flops_per_s", "bytes_per_s"}.isdisjoint(by_metric)


def test_items_that_were_not_made_are_no_throughput() -> None:
    group = Group("work[n=4]", "base", (PlannedCase(BASE, Cost(items=64)),))
    whole, short = trial(BASE, 0, [[2.0], [2.0]]), trial(BASE, 0, [[2.0], [2.0]])
    short.samples.append(Sample("made_share", 0.5, -1))
    rates = [
        next(row.median for row in summarize_trials([group], [one]) if row.metric == "items_per_s")
        for one in (whole, short)
    ]
    assert rates == [32.0, 16.0]


def test_what_the_implementation_carries_out_stands_beside_what_was_asked_for() -> None:
    group = replace(GROUP, cases=(replace(GROUP.cases[0], hardware_flops=250.0),))
    by_metric = {m.metric: m for m in summarize_trials([group], [trial(BASE, 0, [[0.5]])])}
    assert (by_metric["flops_per_s"].median, by_metric["hardware_flops_per_s"].median) == (200.0, 500.0)


def test_times_of_a_case_that_failed_in_the_end_are_not_summarised_and_its_error_is() -> None:
    failed = trial(OTHER, 0, [[1.0], [1.0]])
    failed.status, failed.message = INCORRECT, "stale"
    failed.samples.append(Sample("max_abs_error", 0.5))
    metrics = {m.metric for m in summarize_trials([GROUP], [failed])}
    assert metrics == {"max_abs_error"}


def test_a_case_that_is_ok_in_one_launch_and_fails_in_the_next_is_shown_as_failed() -> None:
    failed = Trial(OTHER, 1, INCORRECT, "wrong in the second launch")
    table = table_of(trial(BASE, 0, [[1.0]]), trial(OTHER, 0, [[1.0]]), failed)
    assert [(row.status, row.message) for row in table.rows] == [(OK, ""), (INCORRECT, "wrong in the second launch")]


def test_flags_of_samples_stand_beside_the_time() -> None:
    table = table_of(trial(BASE, 0, [[1.0]] * 3, "not_steady"), Trial(OTHER, 0, SKIPPED, "no GPU"))
    assert table.rows[0].flags == ("not_steady", "one_launch")
    assert table.rows[1].ratio is None


def test_meters_that_disagree_are_a_flag_of_the_case() -> None:
    one = trial(BASE, 0, [[1.0]] * 3)
    one.samples += [Sample(metric, 3.0, 0, 0, "meters_disagree") for metric in ("energy_gross", "power_mean")]
    table = table_of(one)
    assert table.rows[0].flags == ("one_launch", "meters_disagree")
    assert table.rows[0].measurements["time"].flags == ("one_launch",)
    assert table.rows[0].measurements["flops_per_joule"].flags == ("meters_disagree",)


def test_a_worker_that_waited_for_a_core_is_flagged() -> None:
    waited = trial(BASE, 0, [[1.0]] * 3)
    waited.samples += [Sample("cpu_time", 0.5, r) for r in range(3)] + [
        Sample("others_share", 0.4, r) for r in range(3)
    ]
    assert {"waiting", "contended"} <= set(table_of(waited).rows[0].flags)
