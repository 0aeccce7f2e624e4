"""The ratio of two cases: of one to its baseline within a run, or of two sides of a comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.interval import factor, two_level
from harness.analysis.rounds import round_logs
from harness.core.metric import PRIMARY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.interval import Interval
    from harness.core.trial import Trial


@dataclass(frozen=True)
class Ratio:
    """A ratio of times with its 95 % interval.

    Attributes:
        paired: whether the two took turns.
        detectable: the smallest relative difference that such data show in four of five tries.
    """

    value: float
    ci_low: float
    ci_high: float
    paired: bool
    detectable: float = math.nan


def time_ratio(case: Sequence[Trial], baseline: Sequence[Trial], *, paired: bool) -> Ratio | None:
    """Return the ratio of times, case over baseline, or None where one of them has no times in common launches."""
    found = log_ratio(case, baseline, PRIMARY, paired=paired)
    if not found:
        return None
    return Ratio(factor(found.centre), factor(found.low), factor(found.high), paired, factor(found.detectable) - 1)


def log_ratio(ours: Sequence[Trial], theirs: Sequence[Trial], metric: str, *, paired: bool) -> Interval | None:
    """Return the logarithm of the ratio of a metric, ours over theirs; None where there is nothing to compare.

    Paired, the statistic of a round is log(ours / theirs) of the medians taken in it, so that whatever drifts from
    round to round cancels out. Unpaired, the difference is that of two independent estimates.
    """
    us, them = round_logs(ours, metric), round_logs(theirs, metric)
    if not paired:
        sides = [two_level([list(rounds.values()) for rounds in side.values()]) for side in (us, them) if side]
        return sides[0].minus(sides[1]) if len(sides) == 2 else None
    logs = [
        [us[launch][turn] - them[launch][turn] for turn in us[launch] if turn in them[launch]]
        for launch in us
        if launch in them
    ]
    return two_level(logs) if any(logs) else None
