from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.flags import find_flags, has_two_modes
from harness.core.case import Case
from harness.core.trial import INCORRECT, Sample, Trial

CASE = Case("work", "base", (("n", 4),))


def launches(*extra: Sample, rounds: int = 20, slope: float = 0.0, count: int = 3) -> list[Trial]:
    source = np.random.default_rng(1)
    return [
        Trial(
            CASE,
            launch,
            samples=[
                Sample("time", 1e-3 * (1 + slope * turn / rounds + source.normal(0, 0.002)), turn)
                for turn in range(rounds)
            ]
            + list(extra),
        )
        for launch in range(count)
    ]


@pytest.mark.parametrize(
    ("trials", "flags"),
    [
        (launches(), []),
        (launches(count=1), ["one_launch"]),
        (launches(rounds=1, count=1), ["one_launch", "one_sample"]),
        (launches(Sample("others_share", 0.5, 0)), ["contended"]),
        (launches(Sample("steal_share", 0.5, 0)), ["stolen"]),
        (launches(Sample("swapped_pages", 8.0, 0)), ["swapping"]),
        (launches(Sample("swapped_pages", 0.0, 0)), []),
        (launches(Sample("made_share", 0.6, -1)), ["fewer_items"]),
        (launches(Sample("made_share", 1.0, -1)), []),
        (launches(Sample("throttle_reasons", float(0x40), 0)), ["throttled"]),
        (launches(Sample("throttle_reasons", float(0x4), 0)), ["power_capped"]),
        (launches(Sample("throttle_reasons", float(0x1), 0)), []),
        (launches(slope=0.2), ["drift"]),
        (launches(slope=-0.2), ["drift"]),
        (launches(slope=0.01), []),
    ],
)
def test_what_speaks_against_a_time_is_a_flag(trials: list[Trial], flags: list[str]) -> None:
    assert find_flags(trials) == flags


def test_trials_that_failed_say_nothing_of_the_time() -> None:
    failed = launches(Sample("others_share", 0.5, 0))
    for trial in failed:
        trial.status = INCORRECT
    assert find_flags([*launches(), *failed]) == []


def test_two_modes_are_told_from_spread_skew_and_spikes() -> None:
    source = np.random.default_rng(2)

    def share(draw: object) -> float:
        return float(np.mean([has_two_modes(draw().tolist()) for _ in range(100)]))  # type: ignore[operator]

    assert share(lambda: np.exp(source.normal(0, 0.01, 100) + 0.1 * (source.random(100) < 0.3))) > 0.8
    assert share(lambda: np.exp(source.normal(0, 0.02, 100))) == 0
    assert share(lambda: 1 + source.exponential(0.05, 100)) == 0
    assert share(lambda: np.exp(source.normal(0, 0.01, 100) + 0.5 * (source.random(100) < 0.05))) <= 0.02
    assert not has_two_modes([1.0] * 40)
    assert not has_two_modes([math.nan, 0.0])
