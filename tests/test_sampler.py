from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator

import pytest

from harness.core.flag import Flag
from harness.core.median import estimate_median_interval
from harness.sampler import Pace, has_trend, is_precise, take_turn, warm_up_step


class ScriptedClock:
    """A clock that reads what a test wants instead of the time; the loop around it is the real one."""

    largest_block = 1 << 20

    def __init__(self, times: Iterator[float], least_s: float = 0.0) -> None:
        self.times, self.least_s, self.blocks = times, least_s, list[int]()

    def sample(self, step: Callable[[], object], block: int) -> tuple[dict[str, float], tuple[Flag, ...]]:
        self.blocks.append(block)
        step()
        return {"time": next(self.times)}, ()


def noisy(level: float, seed: int, spread: float = 0.01) -> Iterator[float]:
    random_source = random.Random(seed)
    while True:
        yield level * random_source.gauss(1.0, spread)


def falling(start: float, floor: float, factor: float) -> Iterator[float]:
    time = start
    while True:
        yield max(time, floor)
        time *= factor


def test_a_steady_step_settles_soon() -> None:
    clock = ScriptedClock(noisy(1e-3, seed=1))
    pace = warm_up_step(clock, lambda: None, limit_s=5.0)
    assert pace.steady
    assert len(clock.blocks) < 40
    assert pace.step_s == pytest.approx(1e-3, rel=0.01)


def test_warm_up_lasts_until_the_times_stop_falling() -> None:
    clock = ScriptedClock(falling(2e-3, 1e-3, 0.98))
    pace = warm_up_step(clock, lambda: None, limit_s=5.0)
    assert pace.steady
    assert pace.step_s == pytest.approx(1e-3, rel=0.02)


def test_what_never_settles_is_told_at_the_limit() -> None:
    clock = ScriptedClock(falling(1.0, 0.0, 0.98))
    assert not warm_up_step(clock, lambda: None, limit_s=0.05).steady


def test_a_short_step_is_timed_in_blocks_that_the_clock_can_read() -> None:
    clock = ScriptedClock(iter(lambda: 1e-7, None), least_s=1e-4)
    assert warm_up_step(clock, lambda: None, limit_s=5.0).block == pytest.approx(1000, rel=0.5)


def test_a_long_step_is_not_repeated_for_its_warm_up() -> None:
    clock = ScriptedClock(noisy(10.0, seed=2))
    assert warm_up_step(clock, lambda: None, limit_s=0.0).steady
    assert len(clock.blocks) == 1


def test_a_turn_runs_one_step_for_nothing_and_keeps_the_rest() -> None:
    clock = ScriptedClock(iter([9.0, 1.0, 2.0, 3.0] + [4.0] * 200))
    samples = take_turn(clock, lambda: None, Pace(1, 1e-3, steady=True), round=7, slice_s=10.0)
    assert len(samples) == 100
    assert [(s.value, s.round, s.index) for s in samples[:3]] == [(1.0, 7, 0), (2.0, 7, 1), (3.0, 7, 2)]


def test_a_turn_takes_a_sample_even_of_a_step_longer_than_it() -> None:
    clock = ScriptedClock(noisy(10.0, seed=3))
    assert len(take_turn(clock, lambda: None, Pace(1, 10.0, steady=True), round=0, slice_s=0.0)) == 1
    assert len(clock.blocks) == 1


def test_no_garbage_is_collected_while_steps_are_timed() -> None:
    seen = []
    clock = ScriptedClock(noisy(1e-3, seed=4))
    take_turn(clock, lambda: seen.append(gc.isenabled()), Pace(1, 1e-3, steady=True), round=0, slice_s=0.01)
    assert seen
    assert not any(seen)
    assert gc.isenabled()


def test_noise_shows_a_trend_in_about_one_window_of_twenty() -> None:
    windows = [[next(times) for _ in range(15)] for times in (noisy(1.0, seed, 0.05) for seed in range(400))]
    assert sum(map(has_trend, windows)) <= 32


def test_a_drift_of_ten_percent_is_a_trend() -> None:
    source = random.Random(5)
    assert has_trend([1.0 - 0.1 * i / 14 + source.gauss(0, 0.01) for i in range(15)])


def test_the_interval_of_the_median_covers_it_in_95_of_100() -> None:
    source = random.Random(6)
    hits = 0
    for _ in range(1000):
        low, high = estimate_median_interval([source.expovariate(1.0) for _ in range(30)])
        hits += low <= 0.6931 <= high
    assert 940 <= hits <= 985


def test_sampling_goes_on_until_the_median_is_known_well_enough() -> None:
    quiet, loud = noisy(1.0, 7, 0.005), noisy(1.0, 8, 0.10)
    assert not is_precise([next(quiet) for _ in range(9)], 0.01)
    assert is_precise([next(quiet) for _ in range(20)], 0.01)
    assert not is_precise([next(loud) for _ in range(20)], 0.01)
    assert is_precise([next(loud) for _ in range(2000)], 0.01)
