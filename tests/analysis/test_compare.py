from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.analysis.compare import compare_runs
from harness.analysis.interval import Interval, estimate_mean
from harness.analysis.verdict import Contrast, judge_comparisons
from harness.core.case import Case
from harness.core.comparison import Comparison
from harness.core.metric import Metric
from harness.core.rules import Limit, Rules
from harness.core.run import Run
from harness.core.run_description import INTERRUPTED
from harness.core.trial import ABSENT, Sample
from harness.core.variant import Variant
from harness.terminal.comparison import serialize_comparison

Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]
NO_MODULE = "error: check: ModuleNotFoundError: No module named 'built'"
CASE = Case("work", "base", (("n", 4),))


def time_of(base: Run, new: Run, **options: Any) -> Comparison:
    (row,) = [row for row in compare_runs(base, new, Rules(), **options).rows if row.metric in ("", "time")]
    return row


@pytest.mark.parametrize(
    ("factor", "spread", "launches", "verdict"),
    [
        (1.0, 0.002, 5, "equivalent"),
        (1.05, 0.002, 5, "slower"),
        (0.95, 0.002, 5, "faster"),
        (1.0, 0.08, 5, "inconclusive"),
        (1.05, 0.002, 2, "suspect"),
        (1.0, 0.002, 2, "inconclusive"),
        (1.004, 0.0005, 5, "equivalent"),
    ],
)
def test_a_time_gets_the_verdict_that_its_data_allow(
    record: Record, draw: Draw, factor: float, spread: float, launches: int, verdict: str
) -> None:
    base = record({"base": draw(1, launches=launches, spread=spread)})
    new = record({"base": draw(2, factor, launches=launches, spread=spread)})
    row = time_of(base, new)
    assert row.verdict == verdict
    assert row.ci_low < row.ratio < row.ci_high


def test_the_words_below_an_open_verdict_say_what_it_lacks(record: Record, draw: Draw) -> None:
    wide = time_of(record({"base": draw(1, spread=0.08)}), record({"base": draw(2, spread=0.08)}))
    assert "anything from -" in wide.note
    few = time_of(record({"base": draw(1, launches=2)}), record({"base": draw(2, launches=2)}))
    assert few.note.startswith("2 launches; a verdict needs 3")
    edge = time_of(record({"base": draw(3)}), record({"base": draw(4, 1.0095)}))
    assert edge.verdict == "inconclusive"
    assert "may be within the margin of 1.0%" in edge.note


def test_what_the_data_could_have_seen_is_seen_in_four_of_five_tries() -> None:
    source = np.random.default_rng(5)

    def side(shift: float) -> Interval:
        return estimate_mean((source.normal(shift, 0.01, (5, 1)) + source.normal(0, 0.002, (5, 20))).tolist())

    typical = float(np.median([side(0).minus(side(0)).detectable for _ in range(200)]))
    found = sum(side(typical).minus(side(0)).low > 0 for _ in range(400)) / 400
    assert 0.7 < found < 0.9


def test_sides_that_took_turns_are_paired_and_find_what_a_drift_would_hide(record: Record, draw: Draw) -> None:
    drift = np.linspace(1.0, 1.3, 20)
    base = (np.array(draw(1)) * drift).tolist()
    new = (np.array(draw(2, 1.02)) * drift).tolist()
    sides = [Variant(role, "x") for role in ("base", "new")]
    paired = time_of(record({"base": base}, variant=sides[0]), record({"base": new}, variant=sides[1]))
    apart = time_of(record({"base": base}), record({"base": new}))
    assert (paired.verdict, apart.verdict) == ("slower", "inconclusive")


@pytest.mark.parametrize(
    ("before", "after", "verdict"),
    [
        ("ok", "crashed: died of SIGSEGV", "fails now"),
        ("skipped: needs CUDA", "crashed: died of SIGSEGV", "fails now"),
        ("crashed: died", "ok", "works now"),
        ("crashed: died", "incorrect: wrong", "fails on both sides"),
        ("ok", "skipped: needs the module x", "missing"),
        ("skipped: needs CUDA", "skipped: needs CUDA", None),
        (f"skipped: {ABSENT}: unknown implementation", "ok", "added"),
        ("skipped: needs CUDA", "ok", "base not measured"),
        ("skipped: not in this revision: unknown workload; mine.py: OSError: no libx.so", "ok", "base not measured"),
        (NO_MODULE, "ok", "base not measured"),
        (NO_MODULE, NO_MODULE, "fails on both sides"),
        (NO_MODULE, "crashed: died of SIGSEGV", "fails now"),
        ("ok", NO_MODULE, "fails now"),
        ("error: check: RuntimeError: 1", "ok", "works now"),
    ],
)
def test_a_case_that_did_not_go_well_on_both_sides_has_a_verdict_as_a_whole(
    record: Record, draw: Draw, before: str, after: str, verdict: str | None
) -> None:
    base = record({"base": draw(1), "other": draw(1) if before == "ok" else before})
    new = record({"base": draw(2), "other": draw(2) if after == "ok" else after})
    rows = [row for row in compare_runs(base, new, Rules()).rows if row.case.implementation == "other"]
    assert [row.verdict for row in rows] == ([verdict] if verdict else [])


def test_a_case_that_the_base_was_cut_short_before_is_not_added(record: Record, draw: Draw) -> None:
    base = record({"base": draw(1), "other": []}, state=INTERRUPTED)
    report = compare_runs(base, record({"base": draw(2), "other": draw(3)}), Rules())
    assert [(row.verdict, row.note) for row in report.uncompared] == [("base not measured", "there is no trial of it")]


@pytest.mark.parametrize(
    ("before", "after", "compared", "uncompared"),
    [
        ({}, {"a": "ok"}, False, ["a"]),
        ({"a": "skipped: needs CUDA"}, {"a": "ok", "b": "ok"}, False, ["a", "b"]),
        ({"a": "crashed: died"}, {"a": "ok"}, False, ["a"]),
        ({"a": "crashed: died"}, {"a": "crashed: died"}, False, ["a"]),
        ({"a": "ok"}, {"a": "skipped: needs CUDA"}, False, ["a"]),
        ({"a": "ok"}, {"b": "ok"}, False, ["a"]),
        ({"a": f"skipped: {ABSENT}"}, {"a": "ok"}, False, []),
        ({"a": "ok", "b": NO_MODULE}, {"a": "ok", "b": "ok"}, True, ["b"]),
        ({"a": "ok", "b": "crashed: died"}, {"a": "ok", "b": "ok"}, True, []),
        ({"a": "ok"}, {"a": "ok", "b": "ok"}, True, []),
        ({"a": "ok"}, {"a": "crashed: died"}, True, []),
    ],
)
def test_what_should_have_been_compared_and_was_not_is_known(
    record: Record, draw: Draw, before: dict[str, str], after: dict[str, str], compared: bool, uncompared: list[str]
) -> None:
    sides = ({name: draw(1) if how == "ok" else how for name, how in side.items()} for side in (before, after))
    report = compare_runs(*map(record, sides), Rules())
    assert report.compared is compared
    assert sorted(row.case.implementation for row in report.uncompared) == uncompared


def test_cases_of_one_side_alone_are_listed(record: Record, draw: Draw) -> None:
    report = compare_runs(record({"base": draw(1), "old": draw(1)}), record({"base": draw(1), "new": draw(1)}), Rules())
    verdicts = {row.case.implementation: row.verdict for row in report.rows if not row.metric}
    assert verdicts == {"old": "missing", "new": "added"}


@pytest.mark.parametrize(
    ("metric", "base", "new", "verdict"),
    [
        ("peak_memory", 100 << 20, 110 << 20, "worse"),
        ("peak_memory", 100 << 20, 90 << 20, "better"),
        ("peak_memory", 100 << 20, 101 << 20, "equivalent"),
        ("peak_memory", 1 << 10, 100 << 10, "equivalent"),
        ("max_abs_error", 1e-3, 2e-3, "worse"),
        ("max_abs_error", 0.0, 0.0, "equivalent"),
        ("max_abs_error", 0.0, 1e-3, "worse"),
        ("max_abs_error", 1e-3, math.nan, "inconclusive"),
    ],
)
def test_what_is_the_same_each_time_is_compared_by_its_value(
    record: Record, draw: Draw, metric: str, base: float, new: float, verdict: str
) -> None:
    sides = [record({"base": draw(1)}, extra={metric: value}) for value in (base, new)]
    (row,) = [row for row in compare_runs(*sides, Rules()).rows if row.metric == metric]
    assert row.verdict == verdict


@pytest.mark.parametrize(
    ("metric", "new", "verdict"),
    [
        (Metric("kept", "B", "higher", "x", margin=0.1), 120.0, "better"),
        (Metric("kept", "B", "lower", "x", margin=0.1), 120.0, "worse"),
        (Metric("kept", "s", "lower", "x", margin=0.1), 120.0, "slower"),
        (Metric("kept", "B", "lower", "x", margin=0.1), 105.0, "equivalent"),
        (Metric("kept", "B", "lower", "x", margin=0.1), -1.0, "inconclusive"),
        (Metric("kept", "B", "lower", "x", margin=0.1, exact=True), 120.0, "worse"),
        (Metric("kept", "B", None, "x"), 120.0, ""),
        (None, 120.0, ""),
    ],
)
def test_a_metric_of_the_workload_is_compared_by_its_own_direction_and_margin(
    record: Record, draw: Draw, metric: Metric | None, new: float, verdict: str
) -> None:
    declared = [metric] if metric else []
    sides = [record({"base": draw(1)}, extra={"kept": value}, metrics=declared) for value in (100.0, new)]
    report = compare_runs(*sides, Rules())
    assert [row.verdict for row in report.rows if row.metric == "kept"] == ([verdict] if verdict else [])
    assert "own" not in serialize_comparison(report)["comparisons"][0]


def test_what_a_check_reports_once_a_launch_is_compared_over_launches(record: Record, draw: Draw) -> None:
    kept = Metric("kept", "B", "lower", "x")
    base, new = (record({"base": draw(1, launches=launches)}, metrics=[kept]) for launches in (3, 3))
    for run, values in ((base, (100.0, 101.0, 99.0)), (new, (120.0, 119.0, 121.0))):
        for trial, value in zip(run.trials, values, strict=True):
            trial.samples.append(Sample("kept", value))
    (row,) = [row for row in compare_runs(base, new, Rules()).rows if row.metric == "kept"]
    assert (row.verdict, row.ratio) == ("worse", pytest.approx(1.2, rel=0.01))
    assert row.ci_low < 1.2 < row.ci_high
    single = [replace(run, trials=run.trials[:1]) for run in (base, new)]
    (row,) = [row for row in compare_runs(*single, Rules()).rows if row.metric == "kept"]
    assert row.verdict == "inconclusive"
    assert row.note.startswith("one launch; a verdict needs 3")


def test_another_machine_is_not_compared_and_the_fields_that_differ_are_named(record: Record, draw: Draw) -> None:
    base, new = record({"base": draw(1)}), record({"base": draw(1)}, cpu_model="Other")
    row = time_of(base, new)
    assert row.verdict == "not comparable"
    assert row.note.startswith("cpu_model: ")
    assert row.note.endswith(" -> Other")
    assert time_of(base, new, despite=["cpu_model"]).verdict == "equivalent"


def test_other_settings_of_torch_are_not_compared(record: Record, draw: Draw) -> None:
    base = record({"base": draw(1)}, runtime={"matmul_precision": "highest"})
    row = time_of(base, record({"base": draw(1)}, runtime={"matmul_precision": "medium"}))
    assert (row.verdict, row.note) == ("not comparable", "matmul_precision: highest -> medium")


def test_across_machines_the_ratios_within_each_are_compared(record: Record, draw: Draw) -> None:
    here = record({"base": draw(1), "same": draw(2, 2.0), "worse": draw(3, 2.0)})
    there = record({"base": draw(4, 5.0), "same": draw(5, 10.0), "worse": draw(6, 11.0)}, cpu_model="Other")
    rows = {row.case.implementation: row for row in compare_runs(here, there, Rules(), across=True).rows}
    assert {name: row.verdict for name, row in rows.items()} == {"same": "equivalent", "worse": "slower"}
    assert rows["worse"].ratio == pytest.approx(1.1, rel=0.01)
    assert rows["worse"].base == pytest.approx(2.0, rel=0.01)


def test_values_that_have_no_logarithm_are_inconclusive_and_not_a_traceback(record: Record, draw: Draw) -> None:
    row = time_of(record({"base": draw(1)}), record({"base": [[0.0] * 5] * 3}))
    assert (row.verdict, row.note) == ("inconclusive", "no value of one side is above zero")


def false_alarms(launch_spread: float, launches: int, comparisons: int, seed: int) -> float:
    """Compare a side with itself many times; return the share of comparisons called slower or faster."""
    source = np.random.default_rng(seed)

    def side() -> Interval:
        noise = source.normal(0, launch_spread, (launches, 1)) + source.normal(0, 0.01, (launches, 20))
        return estimate_mean(noise.tolist())

    alarms = 0
    for _ in range(comparisons):
        tested = Contrast(CASE, "time", 1.0, 1.0, side().minus(side()), Limit(0.01, 0.0), launches)
        alarms += judge_comparisons([tested], 0.05)[0].verdict in ("slower", "faster")
    return alarms / comparisons


@pytest.mark.parametrize("launch_spread", [0.0, 0.005, 0.01, 0.02])
@pytest.mark.parametrize("launches", [3, 5, 10])
def test_equal_sides_are_called_different_in_at_most_5_percent(launches: int, launch_spread: float) -> None:
    assert false_alarms(launch_spread, launches, 300, seed=6) <= 0.05


def families_alarmed(*, together: bool) -> float:
    """Judge 100 families of 50 equal cases; return the share of families in which any is called different."""
    source, limit = np.random.default_rng(7), Limit(0.0, 0.0)
    alarmed = 0
    for _ in range(100):
        cases = [estimate_mean(source.normal(0, 0.01, (5, 20)).tolist()) for _ in range(50)]
        contrasts = [Contrast(CASE, "time", 1.0, 1.0, found, limit, 5) for found in cases]
        rows = (
            judge_comparisons(contrasts, 0.05) if together else [judge_comparisons([one], 0.05)[0] for one in contrasts]
        )
        alarmed += any(row.regressed for row in rows)
    return alarmed / 100


def test_many_cases_raise_no_more_false_alarms_than_one() -> None:
    assert families_alarmed(together=True) <= 0.08


def test_cases_judged_one_by_one_would_alarm_in_most_families() -> None:
    """The negative control: without a correction for their number."""
    assert families_alarmed(together=False) > 0.3
