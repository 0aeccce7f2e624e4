"""The interval of a mean over launches of rounds: how sure a run can be of a number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Interval:
    """A mean and the half width of its 95 % interval (NaN where one value allows none)."""

    mean: float
    half: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.mean + self.half


def two_level(launches: Sequence[Sequence[float]]) -> Interval:
    """Return the mean over launches of their means over rounds, with a 95 % t interval.

    The variance of the mean comes from the spread between launches (degrees of freedom: launches - 1) where that
    exceeds what the rounds alone explain, and from the spread within launches where not: Satterthwaite's
    approximation for the one-way random model, with the launch component held at zero or above.

    Over any split of the spread between launches and rounds this misses the truth in 7 % of runs at worst with three
    launches, 6 % with five, and 13 % with two, at a nominal 5 %. A percentile bootstrap over launches, then rounds,
    misses in up to 25 %, 17 % and 36 % of the same runs. tests/analysis/test_interval.py simulates it.
    """
    groups = [np.asarray(launch, dtype=float) for launch in launches if len(launch)]
    sizes = np.array([len(group) for group in groups])
    means = np.array([group.mean() for group in groups])
    mean = float(means.mean()) if len(means) else math.nan
    count = len(groups)
    within_df = int(sizes.sum() - count)
    within = sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / within_df if within_df else 0.0
    from_rounds = within * float((1 / sizes).sum()) / count**2 if count else math.nan
    from_launches = float(means.var(ddof=1)) / count if count > 1 else 0.0
    if count > 1 and (from_launches > from_rounds or not within_df):
        return Interval(mean, _half(from_launches, count - 1))
    return Interval(mean, _half(from_rounds, within_df))


def _half(variance: float, freedom: int) -> float:
    return float(stdtrit(freedom, 0.975)) * math.sqrt(variance) if freedom else math.nan
