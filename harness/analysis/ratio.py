"""The ratio of a case's time to its baseline's, within one run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.interval import two_level
from harness.analysis.summary import round_medians

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.core.trial import Trial


@dataclass(frozen=True)
class Ratio:
    """A ratio of times with its 95 % interval; ``paired`` tells whether the two took turns."""

    value: float
    ci_low: float
    ci_high: float
    paired: bool


def time_ratio(case: Sequence[Trial], baseline: Sequence[Trial], *, paired: bool) -> Ratio | None:
    """Return the ratio of times, case over baseline, or None where one of them has no times in common launches.

    Paired, the statistic of a round is log(case / baseline) of the medians taken in it, so that whatever drifts from
    round to round cancels out. Unpaired, the two logarithms have an interval each, added in quadrature.
    """
    ours, theirs = round_medians(case), round_medians(baseline)
    if paired:
        logs = [
            [math.log(ours[launch][turn] / theirs[launch][turn]) for turn in ours[launch] if turn in theirs[launch]]
            for launch in ours
            if launch in theirs
        ]
        if not any(logs):
            return None
        found = two_level(logs)
        return _ratio(found.centre, found.half, paired)
    if not ours or not theirs:
        return None
    a, b = (two_level([[math.log(v) for v in rounds.values()] for rounds in side.values()]) for side in (ours, theirs))
    return _ratio(a.centre - b.centre, math.hypot(a.half, b.half), paired)


def _ratio(log: float, half: float, paired: bool) -> Ratio:
    return Ratio(math.exp(log), math.exp(log - half), math.exp(log + half), paired)
