"""Rates over simulated series with fixed seeds; tests/benchmarks/histories.py prints more of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from harness.analysis.change_points import CHANGED, DRIFT, STABLE, SeriesChange, find_changes
from harness.analysis.change_search import FEWEST, compute_rank_sum_p, estimate_shift

SERIES, POINTS = 200, 100
# How far from the truth a change may be placed.
NEAR = 5
Source = np.random.Generator
Make = Callable[[Source], np.ndarray]


def noise(source: Source, points: int = POINTS) -> np.ndarray:
    return np.exp(source.normal(0, 0.02, points))


def spiked(source: Source, values: np.ndarray) -> np.ndarray:
    """Raise one point in 20 by 20 to 50 %."""
    return values * np.where(source.random(len(values)) < 0.05, 1 + source.uniform(0.2, 0.5, len(values)), 1)


def stepped(values: np.ndarray, *steps: tuple[int, float]) -> np.ndarray:
    for place, size in steps:
        values = np.where(np.arange(len(values)) < place, values, values * (1 + size))
    return values


def findings(make: Make, series: int = SERIES) -> list[SeriesChange]:
    return [find_changes(make(np.random.default_rng(seed)).tolist()) for seed in range(series)]


def share(found: Sequence[SeriesChange], holds: Callable[[SeriesChange], bool]) -> float:
    return sum(map(holds, found)) / len(found)


def at(*places: int) -> Callable[[SeriesChange], bool]:
    """Return whether a finding has a change near each place."""
    return lambda found: all(any(abs(c.index - place) <= NEAR for c in found.changes) for place in places)


@pytest.mark.parametrize(
    "make",
    [
        noise,
        lambda source: spiked(source, noise(source)),
        lambda source: noise(source) ** 0.25 * np.where(source.random(POINTS) < 0.5, 1.0, 1.03),
        lambda source: np.where(source.random(POINTS) < 0.5, 1.0, 1.03),
        lambda source: noise(source, 15),
        lambda source: noise(source, 333),
    ],
    ids=["noise", "spikes", "two modes", "two values", "few points", "many points"],
)
def test_a_series_without_a_change_is_stable(make: Make) -> None:
    assert share(findings(make, 500), lambda found: found.label != STABLE) <= 0.02


@pytest.mark.parametrize("place", [15, 50, 85])
@pytest.mark.parametrize("spikes", [False, True], ids=["clean", "spikes"])
def test_a_step_of_5_percent_is_found_where_it_is_and_nothing_else(place: int, spikes: bool) -> None:
    def make(source: Source) -> np.ndarray:
        values = stepped(noise(source), (place, 0.05))
        return spiked(source, values) if spikes else values

    found = findings(make)
    assert share(found, at(place)) >= (0.95 if spikes else 0.97)
    assert share(found, lambda found: len(found.changes) > 1) <= 0.03


def test_spikes_before_a_step_do_not_draw_it_to_them() -> None:
    values = stepped(noise(np.random.default_rng(3)) ** 0.25, (50, 0.05))
    values[[44, 45, 47, 48]] *= 1.3
    (change,) = find_changes(values.tolist()).changes
    assert change.index in (49, 50)


def test_two_odd_points_at_the_end_are_no_level_of_their_own() -> None:
    def make(source: Source) -> np.ndarray:
        values = stepped(noise(source, 300), (298, 0.3))
        values[297] = values.min()
        return values

    assert {found.label for found in findings(make, 50)} == {STABLE}


def test_the_size_and_the_place_are_within_their_intervals() -> None:
    found = [f.changes[0] for f in findings(lambda source: stepped(noise(source), (60, 0.05))) if f.label == CHANGED]
    assert np.mean([change.ci_low <= 0.05 <= change.ci_high for change in found]) >= 0.92
    assert np.mean([change.before < 60 <= change.after for change in found]) >= 0.95
    assert np.median([change.after - change.before for change in found]) <= 8
    assert all(change.before < change.index <= change.after for change in found)


def test_a_change_five_points_ago_is_found_and_a_spike_at_the_end_is_none() -> None:
    recent = findings(lambda source: stepped(noise(source), (POINTS - 5, 0.05)))
    assert share(recent, at(POINTS - 5)) >= 0.8
    odd = findings(lambda source: stepped(noise(source), (POINTS - 1, 0.3)))
    assert share(odd, lambda found: found.label != STABLE) <= 0.02


@pytest.mark.parametrize("length", [10, 20, 40])
def test_a_step_that_was_reverted_is_two_changes(length: int) -> None:
    found = findings(lambda source: stepped(noise(source), (40, 0.05), (40 + length, -0.05 / 1.05)))
    assert share(found, at(40, 40 + length)) >= (0.88 if length == 10 else 0.95)
    both = [f.changes for f in found if len(f.changes) == 2]
    assert all(up.size > 0 > down.size for up, down in both)


def test_several_steps_are_found_each() -> None:
    found = findings(lambda source: stepped(noise(source), (25, 0.05), (50, 0.08), (75, -0.06)))
    assert share(found, at(25, 50, 75)) >= 0.95
    assert share(found, lambda found: len(found.changes) > 3) <= 0.05


@pytest.mark.parametrize("spikes", [False, True], ids=["clean", "spikes"])
def test_a_slow_drift_is_called_so_with_its_size_and_has_no_changes(spikes: bool) -> None:
    def make(source: Source) -> np.ndarray:
        values = noise(source) * np.linspace(1, 1.1, POINTS)
        return spiked(source, values) if spikes else values

    found = findings(make)
    drifts = [f for f in found if f.label == DRIFT]
    assert len(drifts) >= 0.95 * len(found)
    assert np.median([f.drift for f in drifts]) == pytest.approx(0.1, abs=0.01)
    assert not any(f.changes for f in drifts)


def test_what_is_smaller_than_matters_is_no_change_until_it_is_asked_for() -> None:
    values = stepped(noise(np.random.default_rng(0)) ** 0.1, (50, 0.008)).tolist()
    assert find_changes(values).label == STABLE
    (change,) = find_changes(values, effect=0.005).changes
    assert change.index == 50
    assert change.ci_low < 0.008 < change.ci_high


def test_sizes_that_are_always_the_same_change_exactly_where_they_do() -> None:
    values = [1e6] * 30 + [1.5e6] * 10
    (change,) = find_changes(values).changes
    assert (change.before, change.index, change.after) == (29, 30, 30)
    assert change.size == change.ci_low == change.ci_high == pytest.approx(0.5)
    for odd in (0, 17, 38):
        values = [1e6] * 40
        values[odd] = values[odd + 1] = 2e6
        assert find_changes(values) == SeriesChange(STABLE)


def test_twelve_points_are_enough_for_a_clear_step_and_eleven_for_nothing() -> None:
    clear = [1.0, 1.01, 1.02, 1.03, 1.04, 1.05, 2.0, 2.01, 2.02, 2.03, 2.04, 2.05]
    assert [change.index for change in find_changes(clear).changes] == [6]
    assert len(clear) == FEWEST
    assert find_changes(clear[1:]) == SeriesChange(STABLE)
    assert find_changes([]) == find_changes([1.0]) == SeriesChange(STABLE)


def test_the_unit_does_not_matter() -> None:
    values = stepped(noise(np.random.default_rng(1)), (30, 0.05), (60, 0.05))
    one, other = find_changes(values.tolist()), find_changes((1e-9 * values).tolist())
    assert [change.index for change in one.changes] == [change.index for change in other.changes]
    assert [change.size for change in one.changes] == pytest.approx([change.size for change in other.changes])


@pytest.mark.parametrize(("few", "many"), [(3, 4), (3, 97), (8, 20), (10, 300)])
def test_the_chance_of_a_rank_sum_is_exact(few: int, many: int) -> None:
    source = np.random.default_rng(few)
    for lift in (0.0, 1.0, 3.0):
        before, after = source.normal(0, 1, many), source.normal(lift, 1, few)
        expected = mannwhitneyu(before, after, method="exact").pvalue
        assert compute_rank_sum_p(before, after) == pytest.approx(expected, rel=1e-9)
        assert compute_rank_sum_p(after, before) == pytest.approx(expected, rel=1e-9)


def test_a_shift_is_the_median_difference_within_an_interval_that_covers_it() -> None:
    assert estimate_shift(np.array([0.0, 1.0, 2.0]), np.array([10.0, 10.5, 30.0])).value == pytest.approx(10.0)
    source, covered = np.random.default_rng(2), 0
    for _ in range(500):
        found = estimate_shift(source.normal(0, 1, 40), source.normal(0.7, 1, 8))
        covered += found.low <= 0.7 <= found.high
    assert 0.93 <= covered / 500 <= 0.98
    assert math.isclose(estimate_shift(np.ones(50), np.full(50, 3.0)).low, 2.0)
