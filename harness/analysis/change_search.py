"""Tests and estimates from ranks: nothing is assumed of the noise, and a spike weighs no more than any other point."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from harness.core.median import Z95

if TYPE_CHECKING:
    from collections.abc import Iterator

    Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

# Fewer points are no level: two spikes in a row are nothing rare.
SHORTEST = 3
# Of fewer, even two perfectly separate halves are not rare enough.
FEWEST = 12
# How often each of the three searches (a step, a stay elsewhere, a step near the end) may find something in noise.
LEVEL = 0.003
# The last points that are held against all before them, where the search for a step has no power yet.
_TAILS = range(SHORTEST, 9)
_RARE = LEVEL / len(_TAILS)
# More points make do with the critical values of so many: to draw their own takes seconds. Of series of 4000 points
# without a change, 2 % then have one.
_PERMUTATIONS, _LARGEST = 20_000, 1024
# Where the smaller side has more points, the rank-sum is as good as normal.
_EXACT = 10


class Shift(NamedTuple):
    """How far one set of values lies above another, with a 95 % interval."""

    value: float
    low: float
    high: float


class _Critical(NamedTuple):
    """What the largest standardised rank-sums must exceed."""

    step: float
    stay: float


def find_cuts(values: Floats) -> tuple[int, ...]:
    """Return where the level of a stretch changes: nowhere, once, or there and back again.

    A step is where the standardised rank-sum of all before it is largest. Where no step is found, a stay elsewhere is
    looked for, such as a regression that was soon reverted: seen from either end, most of the rest is as it was.
    """
    size = len(values)
    if size < FEWEST:
        return ()
    sums, least = _centred_sums(compute_midranks(values)), _critical(_rounded_up(size))
    steps = _steps(sums)
    if steps.max() > least.step:
        return (SHORTEST + int(steps.argmax()),)
    best, start, length = max(
        (float(scores.max()), SHORTEST + int(scores.argmax()), length) for length, scores in _stays(sums)
    )
    return (start, start + length) if best > least.stay else ()


def find_recent_cut(values: Floats) -> int | None:
    """Return where the last few points leave the level of all before them, by exact Mann-Whitney tests, or None."""
    ranks, size = compute_midranks(values), len(values)
    tails = [tail for tail in _TAILS if size - tail > tail]
    chances = {tail: _chance(float(ranks[-tail:].sum()), tail, size - tail) for tail in tails}
    tail = min(tails, key=lambda tail: chances[tail], default=None)
    return size - tail if tail and chances[tail] <= _RARE else None


def compute_rank_sum_p(before: Floats, after: Floats) -> float:
    """Return the chance of so large a rank-sum where the two do not differ (Mann-Whitney, two-sided)."""
    ranks = compute_midranks(np.concatenate((before, after)))
    few = min(before, after, key=len)
    rank_sum = ranks[: len(before)].sum() if few is before else ranks[len(before) :].sum()
    return _chance(float(rank_sum), len(few), len(ranks) - len(few))


def compute_search_p(before: Floats, after: Floats) -> float:
    """Return the chance of what parts two stretches, over the largest chance at which a search would have found it."""
    least = _critical(_rounded_up(len(before) + len(after))).step
    return compute_rank_sum_p(before, after) / max(_RARE, math.erfc(least / math.sqrt(2)))


def estimate_shift(before: Floats, after: Floats) -> Shift:
    """Return the Hodges-Lehmann estimate of how far ``after`` lies above ``before``: the median pairwise difference."""
    differences = np.sort(np.subtract.outer(after, before).ravel())
    count, few, many = len(differences), *sorted((len(before), len(after)))
    if few <= _EXACT:
        outside = int(np.searchsorted(_below(few, many), 0.025, side="right"))
    else:
        outside = math.floor(count / 2 - Z95 * math.sqrt(count * (few + many + 1) / 12))
    outside = max(outside, 1)
    return Shift(float(np.median(differences)), float(differences[outside - 1]), float(differences[count - outside]))


def compute_midranks(values: Floats) -> Floats:
    """Return the rank of each value from 1; equal values share the mean of theirs.

    The variances below are those of distinct ranks. Where many values are equal, as sizes of memory are, a few odd ones
    count for little by that, and a clean step for as much as ever.
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[inverse])


def _centred_sums(ranks: Floats) -> Floats:
    """Return the sums of the first 0, 1, 2, ... ranks less their mean, along the last axis."""
    sums = np.zeros((*ranks.shape[:-1], ranks.shape[-1] + 1))
    np.cumsum(ranks - (ranks.shape[-1] + 1) / 2, axis=-1, out=sums[..., 1:])
    return sums


def _steps(sums: Floats) -> Floats:
    """Return the standardised rank-sums of the first k points, k from SHORTEST to all but SHORTEST."""
    size = sums.shape[-1] - 1
    return np.abs(sums[..., SHORTEST : size + 1 - SHORTEST]) * _weights(size)[SHORTEST : size + 1 - SHORTEST]


def _stays(sums: Floats) -> Iterator[tuple[int, Floats]]:
    """Yield lengths that grow by a quarter, and the standardised rank-sums of all inner stretches of that length."""
    size = sums.shape[-1] - 1
    length = SHORTEST
    while length <= size - 2 * SHORTEST:
        starts, ends = (
            sums[..., SHORTEST : size + 1 - SHORTEST - length],
            sums[..., SHORTEST + length : size + 1 - SHORTEST],
        )
        yield length, np.abs(ends - starts) * _weights(size)[length]
        length += max(1, length // 4)


@lru_cache(maxsize=256)
def _weights(size: int) -> Floats:
    """Return one over the standard deviation of the sum of k ranks out of ``size``, for every k."""
    k = np.arange(size + 1)
    return np.asarray(1 / np.sqrt(np.maximum(k * (size - k), 1) * (size + 1) / 12))


def _rounded_up(size: int) -> int:
    """Return one of the sizes for which critical values are drawn: they grow so slowly that sixteen to an octave do."""
    step = 1 << max(0, size.bit_length() - 5)
    return min(max(-(-size // step) * step, FEWEST), _LARGEST)


@lru_cache(maxsize=256)
def _critical(size: int) -> _Critical:
    """Return what noise exceeds in a share of LEVEL, from permutations; it depends on the number of points alone."""
    source, rows = np.random.default_rng(size), max(1, 1_000_000 // size)
    steps, stays = [], []
    for done in range(0, _PERMUTATIONS, rows):
        ranks = np.tile(np.arange(1.0, size + 1), (min(rows, _PERMUTATIONS - done), 1))
        sums = _centred_sums(source.permuted(ranks, axis=1, out=ranks))
        steps.append(_steps(sums).max(axis=1))
        stays.append(np.max([scores.max(axis=1) for _, scores in _stays(sums)], axis=0))
    return _Critical(*(float(np.quantile(np.concatenate(s), 1 - LEVEL, method="higher")) for s in (steps, stays)))


def _chance(rank_sum: float, few: int, many: int) -> float:
    """Return the two-sided chance of a rank-sum at least this far from its mean."""
    least = rank_sum - few * (few + 1) / 2
    if few > _EXACT:
        distance = abs(least - few * many / 2) / math.sqrt(few * many * (few + many + 1) / 12)
        return math.erfc(distance / math.sqrt(2))
    return min(1.0, 2 * float(_below(few, many)[math.ceil(min(least, few * many - least))]))


@lru_cache(maxsize=4096)
def _below(few: int, many: int) -> Floats:
    """Return the chances of a Mann-Whitney statistic of at most 0, 1, 2, ..., from the coefficients that count them."""
    counts = np.zeros(few * many + 1)
    counts[0] = 1
    for k in range(1, few + 1):
        counts[many + k :] -= counts[: -many - k].copy()
        for phase in range(k):
            np.cumsum(counts[phase::k], out=counts[phase::k])
    return np.cumsum(counts) / math.comb(few + many, few)
