"""The measuring loop of one case: warm-up, blocks, samples, and when there are enough of them."""

from __future__ import annotations

import gc
import math
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.core.median import Z95, estimate_median_interval
from harness.core.metric import PRIMARY
from harness.core.trial import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.probes import Clock

# Samples that the trend test looks back on, and the change below which a trend does not matter.
_WINDOW = 15
_SETTLED = 0.01
# Samples of a turn at most: beyond these a turn adds rows and no knowledge, since the round is the unit of pairing.
_PER_TURN = 100
# A step that ran while others had the turn finds cold caches. Up to this length one step is run for nothing first;
# beyond it, refilling a cache (milliseconds) is below 1 % of the step.
_REFRESH_S = 0.5


@dataclass(frozen=True)
class Pace:
    """What warm-up found: steps per sample, seconds per step, and whether the times had settled."""

    block: int
    step_s: float
    steady: bool


def warm_up_step(clock: Clock, step: Callable[[], Any], limit_s: float) -> Pace:
    """Run samples until their times show no trend, or until the limit, at least one.

    Also chooses the block: the least number of steps that the clock can time well.
    """
    block, times = 1, list[float]()
    end = time.perf_counter() + limit_s
    while True:
        seconds = clock.sample(step, block)[0][PRIMARY]
        if seconds * block < clock.least_s and block < clock.largest_block:
            block = min(clock.largest_block, max(2 * block, math.ceil(clock.least_s / max(seconds, 1e-9))))
            times.clear()
            continue
        times.append(seconds)
        recent = times[-_WINDOW:]
        if len(recent) == _WINDOW and not has_trend(recent):
            return Pace(block, statistics.median(recent), steady=True)
        if time.perf_counter() >= end:
            return Pace(block, statistics.median(recent), steady=not has_trend(recent))


def has_trend(times: Sequence[float]) -> bool:
    """Return whether times rise or fall: Kendall's S beyond its 95 % bound, and ends that differ by over 1 %."""
    n = len(times)
    if n < 4:
        return False
    third = max(1, n // 3)
    first, last = statistics.median(times[:third]), statistics.median(times[-third:])
    if abs(last - first) <= _SETTLED * first:
        return False
    s = sum((times[j] > times[i]) - (times[j] < times[i]) for i in range(n) for j in range(i + 1, n))
    return abs(s) > Z95 * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)


def take_turn(clock: Clock, step: Callable[[], Any], pace: Pace, round: int, slice_s: float) -> list[Sample]:
    """Take samples for about ``slice_s`` seconds, at least one, with the garbage collector held."""
    gc.collect()
    gc.disable()
    try:
        if pace.step_s * pace.block <= _REFRESH_S:
            clock.sample(step, pace.block)
        taken = []
        end = time.perf_counter() + slice_s
        for index in range(_PER_TURN):
            taken.append((index, *clock.sample(step, pace.block)))
            if time.perf_counter() >= end:
                break
    finally:
        gc.enable()
    return [
        Sample(metric, value, round, index, ",".join(flags))
        for index, values, flags in taken
        for metric, value in values.items()
    ]


def is_precise(values: Sequence[float], precision: float) -> bool:
    """Return whether the interval of the median is within ``precision`` of it, on at least ten values."""
    if len(values) < 10:
        return False
    low, high = estimate_median_interval(values)
    return (high - low) / 2 <= precision * statistics.median(values)
