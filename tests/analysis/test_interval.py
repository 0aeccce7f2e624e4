from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.interval import estimate_mean

RUNS = 1000


def misses(launches: int, rounds: int, launch_spread: float, seed: int) -> float:
    """Simulate runs whose truth is zero, and return the share of intervals that miss it."""
    source = np.random.default_rng(seed)
    missed = 0
    for _ in range(RUNS):
        data = source.normal(0, launch_spread, (launches, 1)) + source.normal(0, 1, (launches, rounds))
        found = estimate_mean(data.tolist())
        missed += not found.low <= 0 <= found.high
    return missed / RUNS


@pytest.mark.parametrize("launch_spread", [0.0, 0.25, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("launches", [3, 5, 10])
def test_the_interval_misses_in_about_5_percent_whatever_the_spread_between_launches(
    launches: int, launch_spread: float
) -> None:
    assert misses(launches, 20, launch_spread, seed=1) <= 0.095


@pytest.mark.parametrize("launch_spread", [0.0, 0.25, 0.5, 1.0, 2.0])
def test_two_launches_miss_in_at_most_14_percent(launch_spread: float) -> None:
    assert misses(2, 20, launch_spread, seed=2) <= 0.15


def test_pooling_the_rounds_of_all_launches_would_miss_most_of_the_time() -> None:
    """The negative control: what a harness reports that takes samples for replicates."""
    source = np.random.default_rng(3)
    missed = 0
    for _ in range(RUNS):
        data = source.normal(0, 2.0, (3, 1)) + source.normal(0, 1, (3, 20))
        found = estimate_mean([data.ravel().tolist()])
        missed += not found.low <= 0 <= found.high
    assert missed / RUNS > 0.4


def test_an_interval_is_no_wider_than_the_rounds_demand_where_launches_agree() -> None:
    found = estimate_mean([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]])
    assert found.centre == 2.0
    assert found.half == pytest.approx(2.776 * math.sqrt(math.pi / 2 / 3 / 2), rel=1e-3)


def test_rounds_that_a_neighbour_spoiled_do_not_move_the_result() -> None:
    source = np.random.default_rng(4)
    clean = source.normal(0, 0.01, (3, 20))
    spoiled = np.where(np.arange(20) % 4 == 0, 0.7, clean)
    before, after = estimate_mean(clean.tolist()), estimate_mean(spoiled.tolist())
    assert after.centre == pytest.approx(before.centre, abs=0.01)
    assert after.half < 4 * before.half


def test_launches_that_are_spoiled_entirely_do_not_widen_the_interval_of_many() -> None:
    source = np.random.default_rng(5)
    clean = source.normal(0, 0.01, (18, 1)) + source.normal(0, 0.01, (18, 20))
    spoiled = clean.copy()
    spoiled[[3, 11]] += 0.5
    before, after = estimate_mean(clean.tolist()), estimate_mean(spoiled.tolist())
    assert after.centre == pytest.approx(before.centre, abs=0.01)
    assert after.half < 2 * before.half


def test_one_value_has_no_interval_and_none_has_no_centre() -> None:
    assert estimate_mean([[4.0]]).centre == 4.0
    assert math.isnan(estimate_mean([[4.0]]).half)
    assert math.isnan(estimate_mean([]).centre)


def test_one_round_a_launch_leaves_the_launches_to_judge_by() -> None:
    found = estimate_mean([[1.0], [2.0], [3.0]])
    assert found.half == pytest.approx(4.303 * 1.0 / math.sqrt(3), rel=1e-3)
