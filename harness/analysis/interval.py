"""What launches of rounds agree on, and how sure one can be of it: intervals, differences, and tests of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr, stdtrit

from harness.core.median import Z95, estimate_median_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

# Order statistics of fewer values cannot cover 95 %.
_FEW = 6
# Launches from which the extremes can be spared, and the share that is cut off at either end.
_TRIMMED_FROM = 8
_TRIM = 0.2


_LARGEST = 700.0
# Power at which a difference counts as one that the data would have found.
_POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """An estimate with its standard error, on so many degrees of freedom; 0 of them where one value allows no error."""

    centre: float
    error: float
    freedom: float

    @property
    def half(self) -> float:
        """Half the width of the 95 % interval; NaN where there is none."""
        return float(stdtrit(self.freedom, 0.975)) * self.error if self.freedom else math.nan

    @property
    def low(self) -> float:
        """The lower end."""
        return self.centre - self.half

    @property
    def high(self) -> float:
        """The upper end."""
        return self.centre + self.half

    @property
    def p(self) -> float:
        """The probability of an estimate as far from zero as this one, if the truth were zero (two-sided t test)."""
        if not self.freedom or math.isnan(self.error):
            return math.nan
        if not self.error:
            return float(self.centre == 0)
        return 2 * float(stdtr(self.freedom, -abs(self.centre) / self.error))

    @property
    def detectable(self) -> float:
        """The smallest difference from zero that such data show in four of five tries, at 5 %."""
        if not self.freedom:
            return math.nan
        return float(stdtrit(self.freedom, 0.975) + stdtrit(self.freedom, _POWER)) * self.error

    def widened(self, half: float) -> Interval:
        """Return the same estimate, less sure by the half width of something else that it depends on."""
        return replace(self, error=math.hypot(self.error, half / Z95)) if half else self

    def minus(self, other: Interval) -> Interval:
        """Return the difference of two independent estimates, with Welch's degrees of freedom."""
        error = math.hypot(self.error, other.error)
        if not (self.freedom and other.freedom):
            return Interval(self.centre - other.centre, math.nan, 0)
        parts = self.error**4 / self.freedom + other.error**4 / other.freedom
        freedom = error**4 / parts if parts else min(self.freedom, other.freedom)
        return Interval(self.centre - other.centre, error, freedom)


def exponentiate_log(log: float) -> float:
    """Return the factor that a logarithm stands for; infinite where floating point ends."""
    return math.inf if log > _LARGEST else math.exp(log)


def estimate_mean(launches: Sequence[Sequence[float]]) -> Interval:
    """Return the mean over launches of their medians over rounds, with a 95 % t interval.

    The variance comes from the spread between launches (degrees of freedom: launches - 1) where that exceeds what the
    rounds alone explain, and from the rounds within launches where not: Satterthwaite's approximation for the one-way
    random model, with the launch component held at zero or above. Medians, and their intervals from order statistics,
    because a neighbour on the machine spoils some rounds entirely: with a quarter of 20 rounds spoiled, the interval
    of means is ten times as wide.

    From eight launches their spread says enough by itself, and the mean is trimmed by a fifth at either end, with the
    variance of the winsorised values (Yuen 1974): a busy minute or an unlucky address layout spoils a
    launch as entirely.

    Over any split of the spread between launches and rounds this misses the truth in 7 % of runs at worst with three
    launches, 5 % with five, 6 % from eight, and 14 % with two, at a nominal 5 %. A percentile bootstrap over launches,
    then rounds, misses in up to 25 %, 17 % and, with two, 36 % of such runs. tests/analysis/test_interval.py simulates
    it.
    """
    groups = [np.asarray(launch, dtype=float) for launch in launches if len(launch)]
    if not groups:
        return Interval(math.nan, math.nan, 0)
    medians = np.array([np.median(group) for group in groups])
    if len(medians) >= _TRIMMED_FROM:
        return _trimmed(medians)
    between = _mean(medians)
    spreads = [float(group.var(ddof=1)) for group in groups if len(group) > 1]
    typical = float(np.median(spreads)) if spreads else 0.0
    within = math.sqrt(sum(_variance_of_median(group, typical) for group in groups)) / len(groups)
    freedom = sum(len(group) - 1 for group in groups)
    if between.freedom and (between.error > within or not freedom):
        return between
    return Interval(between.centre, within, freedom)


def _mean(values: Floats) -> Interval:
    error = float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return Interval(float(values.mean()), error, len(values) - 1)


def _trimmed(values: Floats) -> Interval:
    """Return the mean of the middle three fifths; those cut off count as the nearest that is left."""
    ordered, cut = np.sort(values), int(_TRIM * len(values))
    kept = len(ordered) - 2 * cut
    middle = ordered[cut : cut + kept]
    squares = float(ordered.clip(middle[0], middle[-1]).var()) * len(ordered)
    return Interval(float(middle.mean()), math.sqrt(squares / kept / (kept - 1)), kept - 1)


def _variance_of_median(values: Floats, typical: float) -> float:
    """Return the squared standard error of a launch's median.

    Rounds too few for order statistics have the variance that is typical of the launches: one spoiled round among three
    would otherwise make a launch that says nothing outweigh all others.
    """
    if len(values) < _FEW:
        return typical / len(values) * math.pi / 2
    low, high = estimate_median_interval(values.tolist())
    return ((high - low) / (2 * Z95)) ** 2
