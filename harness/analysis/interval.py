"""The interval of what launches of rounds agree on: how sure a run can be of a number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from harness.core.median import Z95, median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

# Order statistics of fewer values cannot cover 95 %.
_FEW = 6


@dataclass(frozen=True)
class Interval:
    """An estimate and the half width of its 95 % interval (NaN where one value allows none)."""

    centre: float
    half: float

    @property
    def low(self) -> float:
        """The lower end."""
        return self.centre - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.centre + self.half


def two_level(launches: Sequence[Sequence[float]]) -> Interval:
    """Return the mean over launches of their medians over rounds, with a 95 % t interval.

    The variance comes from the spread between launches (degrees of freedom: launches - 1) where that exceeds what the
    rounds alone explain, and from the rounds within launches where not: Satterthwaite's approximation for the one-way
    random model, with the launch component held at zero or above. Medians, and their intervals from order statistics,
    because a neighbour on the machine spoils some rounds entirely: with a quarter of 20 rounds spoiled, the interval
    of means is ten times as wide.

    Over any split of the spread between launches and rounds this misses the truth in 7 % of runs at worst with three
    launches, 5 % with five, and 14 % with two, at a nominal 5 %. A percentile bootstrap over launches, then rounds,
    misses in up to 25 %, 17 % and 36 % of such runs. tests/analysis/test_interval.py simulates it.
    """
    groups = [np.asarray(launch, dtype=float) for launch in launches if len(launch)]
    count = len(groups)
    if not count:
        return Interval(math.nan, math.nan)
    medians = np.array([np.median(group) for group in groups])
    centre = float(medians.mean())
    spreads = [float(group.var(ddof=1)) for group in groups if len(group) > 1]
    typical = float(np.median(spreads)) if spreads else 0.0
    from_rounds = sum(_variance_of_median(group, typical) for group in groups) / count**2
    from_launches = float(medians.var(ddof=1)) / count if count > 1 else 0.0
    freedom = sum(len(group) - 1 for group in groups)
    if count > 1 and (from_launches > from_rounds or not freedom):
        return Interval(centre, _half(from_launches, count - 1))
    return Interval(centre, _half(from_rounds, freedom))


def _variance_of_median(values: Floats, typical: float) -> float:
    """Return the squared standard error of a launch's median.

    Rounds too few for order statistics have the variance that is typical of the launches: one spoiled round among three
    would otherwise make a launch that says nothing outweigh all others.
    """
    if len(values) < _FEW:
        return typical / len(values) * math.pi / 2
    low, high = median_interval(values.tolist())
    return ((high - low) / (2 * Z95)) ** 2


def _half(variance: float, freedom: int) -> float:
    return float(stdtrit(freedom, 0.975)) * math.sqrt(variance) if freedom else math.nan
