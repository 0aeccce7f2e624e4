"""Where a series of positive values changes its level, by how much, and whether it drifts instead.

The search is by ranks (:mod:`harness.analysis.change_search`), least absolute deviations place each change, and what is
smaller than matters is merged away again. tests/analysis/test_changes.py holds the rates that this is good for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.analysis.change_search import SHORTEST, Shift, compute_search_p, estimate_shift, find_cuts, find_recent_cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.change_search import Floats

STABLE, DRIFT, CHANGED = "stable", "drift", "changed"
# The smallest relative change that matters.
EFFECT = 0.01
# A place at which the deviations are larger by this many of their scale is not where the change was, in 95 % of series.
_UNLIKELY = 3.5
# The standard deviation of normal values over their median absolute one.
_SIGMA = 1.4826


@dataclass(frozen=True)
class Change:
    """A step from one level to another.

    Attributes:
        index: the first point at the new level.
        before: the last point that is surely at the old one.
        after: the first point that is surely at the new one.
        size: the new level over the old, less one, with its 95 % interval.
    """

    index: int
    before: int
    after: int
    size: float
    ci_low: float
    ci_high: float


@dataclass(frozen=True)
class SeriesChange:
    """What became of a series: ``stable``, ``changed`` in steps, or a ``drift`` of so much from end to end."""

    label: str
    changes: tuple[Change, ...] = ()
    drift: float = 0.0


class _Place(NamedTuple):
    """Where a change is, and the first and last place where it may be."""

    cut: int
    first: int
    last: int


def find_changes(values: Sequence[float], effect: float = EFFECT) -> SeriesChange:
    """Describe a series of positive values as one level, as steps between levels, or as a drift.

    Args:
        values: in their order, all above zero; fewer than ``change_search.FEWEST`` are left undescribed.
        effect: the smallest relative change that matters.
    """
    logs, least = np.log(np.asarray(values, dtype=float)), math.log1p(effect)
    cuts = _prune(logs, _refine(logs, _search(logs)), 0.0)
    if not cuts:
        return SeriesChange(STABLE)
    slope = _slope(logs)
    if _drifts(logs, cuts, slope):
        drift = slope * (len(logs) - 1)
        return SeriesChange(DRIFT, drift=math.expm1(drift)) if abs(drift) >= least else SeriesChange(STABLE)
    cuts = _prune(logs, cuts, least)
    return SeriesChange(CHANGED if cuts else STABLE, tuple(_changes(logs, cuts)))


def _search(logs: Floats) -> list[int]:
    """Return cuts by binary segmentation, and one near the end that is too recent for it."""
    cuts, stretches = [], [(0, len(logs))]
    while stretches:
        start, end = stretches.pop()
        found = [start + cut for cut in find_cuts(logs[start:end])]
        cuts += found
        if found:
            stretches += pairwise((start, *found, end))
    start = max(cuts, default=0)
    recent = find_recent_cut(logs[start:])
    return sorted(cuts if recent is None else [*cuts, start + recent])


def _refine(logs: Floats, cuts: list[int]) -> list[int]:
    """Move each cut to where the deviations from the medians on its sides are least, until none moves."""
    for _ in range(10):
        before = list(cuts)
        for position in range(len(cuts)):
            start, end = _around(cuts, len(logs))[position]
            cuts[position] = start + _place(logs[start:end], cuts[position] - start).cut
        if cuts == before:
            break
    return cuts


def _place(logs: Floats, cut: int) -> _Place:
    """Return the best place for one cut, beginning from a guess, and the places that are nearly as good.

    Deviations count up to the step and three scales of the noise: a spike, far from both levels, speaks for neither.
    """
    levels = float(np.median(logs[:cut])), float(np.median(logs[cut:]))
    left, right = (np.abs(logs - level) for level in levels)
    scale = _SIGMA * float(np.median(np.concatenate((left[:cut], right[cut:]))))
    limit = abs(levels[1] - levels[0]) + 3 * scale
    gain = np.cumsum(np.minimum(left, limit) - np.minimum(right, limit))[SHORTEST - 1 : len(logs) - SHORTEST]
    best = int(gain.argmin())
    likely = np.flatnonzero(gain - gain[best] <= _UNLIKELY * scale)
    return _Place(SHORTEST + best, SHORTEST + int(likely[0]), SHORTEST + int(likely[-1]))


def _prune(logs: Floats, cuts: list[int], least: float) -> list[int]:
    """Drop one cut at a time, the worst first, until all are larger than what matters and too clear to be chance."""
    while cuts:
        around = list(zip(_around(cuts, len(logs)), cuts, strict=True))
        doubts = [compute_search_p(logs[a:b], logs[b:c]) for (a, c), b in around]
        sizes = [abs(found.value) for found in _shifts(logs, cuts)]
        worst = max(range(len(cuts)), key=lambda position: (sizes[position] < least, doubts[position]))
        if sizes[worst] >= least and doubts[worst] <= 1:
            break
        cuts = _refine(logs, cuts[:worst] + cuts[worst + 1 :])
    return cuts


def _shifts(logs: Floats, cuts: list[int]) -> list[Shift]:
    return [estimate_shift(logs[a:b], logs[b:c]) for (a, c), b in zip(_around(cuts, len(logs)), cuts, strict=True)]


def _changes(logs: Floats, cuts: list[int]) -> list[Change]:
    found = []
    for (start, end), cut, by in zip(_around(cuts, len(logs)), cuts, _shifts(logs, cuts), strict=True):
        place = _place(logs[start:end], cut - start)
        sizes = (math.expm1(size) for size in by)
        found.append(Change(cut, start + place.first - 1, start + place.last, *sizes))
    return found


def _around(cuts: list[int], size: int) -> list[tuple[int, int]]:
    """Return, for each cut, where the stretch before it begins and where the one after it ends."""
    edges = [0, *cuts, size]
    return list(zip(edges, edges[2:], strict=False))


def _slope(logs: Floats) -> float:
    """Return the slope of the Theil-Sen line: the median over all pairs of points."""
    one, other = np.triu_indices(len(logs), k=1)
    return float(np.median((logs[other] - logs[one]) / (other - one)))


def _drifts(logs: Floats, cuts: list[int], slope: float) -> bool:
    """Return whether a line, with its two parameters, says more than levels and the places between them (BIC).

    Squares, because they tell the two apart better than absolute deviations do, of deviations held below three times
    their scale, because spikes would outweigh everything.
    """
    apart = np.concatenate([part - np.median(part) for part in np.split(logs, cuts)])
    rest = logs - slope * np.arange(len(logs))
    limit = 3 * _SIGMA * np.median(np.abs(apart))
    steps, line = (float((np.minimum(np.abs(r), limit) ** 2).sum()) for r in (apart, rest - np.median(rest)))
    return bool(line < steps * len(logs) ** ((2 * len(cuts) - 1) / len(logs)))
