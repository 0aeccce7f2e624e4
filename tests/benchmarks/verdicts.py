"""Prints how often verdicts are right, by simulation with fixed seeds: ``python -m tests.benchmarks.verdicts``.

A side is launches of 20 rounds, with 1 % noise from round to round and a spread between launches besides. Name parts to
run those alone: ``alarms power looks``.
"""

from __future__ import annotations

import sys

import numpy as np
from scipy.stats import mannwhitneyu

from harness.analysis.interval import Interval, estimate_mean
from harness.analysis.verdict import Contrast, judge_comparisons
from harness.core.case import Case
from harness.core.comparison import Comparison
from harness.core.rules import Limit

CASE = Case("work", "base", ())
COMPARISONS = 1000
SPREADS = (0.0, 0.005, 0.01, 0.02)
LAUNCHES = (3, 5, 10)
_ROUND, _ROUNDS, _MARGIN = 0.01, 20, 0.01

Side = list[list[float]]


def alarms() -> None:
    """Equal sides called slower or faster, of 1000: this harness, a bootstrap, and Mann-Whitney on pooled rounds."""
    print(f"{'launch spread':>14} {'launches':>9} {'verdicts':>9} {'bootstrap':>10} {'Mann-Whitney':>13}")
    for spread in SPREADS:
        for launches in LAUNCHES:
            source = np.random.default_rng(1)
            counts = [0, 0, 0]
            for _ in range(COMPARISONS):
                base, new = (side(source, launches, spread) for _ in range(2))
                counts[0] += judged(base, new).verdict in ("slower", "faster")
                counts[1] += not spans_zero(bootstrap(source, base, new))
                counts[2] += mannwhitneyu(np.ravel(base), np.ravel(new)).pvalue < 0.05
            shares = [f"{count / COMPARISONS:.1%}" for count in counts]
            print(f"{spread:>14.1%} {launches:>9} {shares[0]:>9} {shares[1]:>10} {shares[2]:>13}")


def power() -> None:
    """Planted shifts called slower, of 1000, at a launch spread of 0.5 and 1 %."""
    shifts = (0.01, 0.02, 0.05)
    print(f"{'launch spread':>14} {'launches':>9}" + "".join(f"{shift:>8.0%}" for shift in shifts))
    for spread in (0.005, 0.01):
        for launches in LAUNCHES:
            source = np.random.default_rng(2)
            found = [
                sum(
                    judged(side(source, launches, spread), side(source, launches, spread, shift)).verdict == "slower"
                    for _ in range(COMPARISONS)
                )
                for shift in shifts
            ]
            print(f"{spread:>14.1%} {launches:>9}" + "".join(f"{count / COMPARISONS:>8.0%}" for count in found))


def looks() -> None:
    """Equal sides that a gate calls slower in any of four looks at 3, 6, 12 and 24 launches: spending or not."""
    print(f"{'launch spread':>14} {'spending':>9} {'not':>6}")
    for spread in SPREADS:
        source = np.random.default_rng(3)
        alarmed = [0, 0]
        for _ in range(COMPARISONS):
            base, new = (side(source, 24, spread) for _ in range(2))
            for index, share in enumerate((0.5, None)):
                rates = [0.05 * share ** (look + 1) if share else 0.05 for look in range(4)]
                alarmed[index] += any(
                    judged(base[:count], new[:count], rate).regressed
                    for count, rate in zip((3, 6, 12, 24), rates, strict=True)
                )
        print(f"{spread:>14.1%} " + " ".join(f"{count / COMPARISONS:>7.1%}" for count in alarmed))


def side(source: np.random.Generator, launches: int, spread: float, shift: float = 0.0) -> Side:
    noise = source.normal(0, spread, (launches, 1)) + source.normal(0, _ROUND, (launches, _ROUNDS))
    return (noise + np.log1p(shift)).tolist()  # type: ignore[no-any-return]


def judged(base: Side, new: Side, fdr: float = 0.05) -> Comparison:
    found = estimate_mean(new).minus(estimate_mean(base))
    return judge_comparisons([Contrast(CASE, "time", 1.0, 1.0, found, Limit(_MARGIN, 0.0), len(base))], fdr)[0]


def bootstrap(source: np.random.Generator, base: Side, new: Side, resamples: int = 500) -> Interval:
    """Resample launches, then rounds: the percentile interval of the difference of means."""
    means = []
    for data in (np.array(base), np.array(new)):
        rows = source.integers(0, len(data), (resamples, len(data)))
        columns = source.integers(0, _ROUNDS, (resamples, len(data), _ROUNDS))
        means.append(data[rows[:, :, None], columns].mean(axis=(1, 2)))
    low, high = np.percentile(means[1] - means[0], (2.5, 97.5))
    return Interval((low + high) / 2, (high - low) / 2 / 1.96, np.inf)


def spans_zero(found: Interval) -> bool:
    return abs(found.centre) <= found.half


if __name__ == "__main__":
    parts = {part.__name__: part for part in (alarms, power, looks)}
    for chosen in sys.argv[1:] or parts:
        print(f"\n{parts[chosen].__doc__}")
        parts[chosen]()
