"""The ratio of two cases: of one to its baseline within a run, or of two sides of a comparison."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TYPE_CHECKING

from harness.analysis.interval import estimate_mean, exponentiate_log
from harness.analysis.pairing import compute_round_logs
from harness.core.metric import PRIMARY
from harness.core.trial import OK

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


def compare_times(case: Sequence[Trial], baseline: Sequence[Trial], *, paired: bool) -> Ratio | None:
    """Return the ratio of times, case over baseline, or None where one of them has no times in common launches."""
    found = estimate_log_ratio(case, baseline, PRIMARY, paired=paired)
    return _ratio_of(found, paired=paired) if found else None


def average_ratios(questions: Sequence[tuple[Sequence[Trial], Sequence[Trial]]], *, paired: bool) -> Ratio | None:
    """Return the geometric mean of the ratios of times at several questions, with its interval.

    The interval is that of launches, each of which has the mean over the questions: what a launch does to all of them,
    such as its layout of memory, does not average out as independent errors would.

    Args:
        questions: our trials and the baseline's, at each of them.
        paired: whether the two took turns.

    Returns:
        None where there is no ratio at one of them.
    """
    found = [estimate_log_ratio(ours, theirs, PRIMARY, paired=paired) for ours, theirs in questions]
    known = [one for one in found if one]
    if not known or len(known) < len(found):
        return None
    logs = [_logs_by_launch(ours, theirs, PRIMARY, paired=paired) for ours, theirs in questions]
    common = [launch for launch in logs[0] if all(launch in one for one in logs)]
    means = estimate_mean(
        [[fmean(turn) for turn in zip(*(one[launch] for one in logs), strict=False)] for launch in common]
    )
    return _ratio_of(replace(means, centre=fmean(one.centre for one in known)), paired=paired)


def estimate_log_ratio(ours: Sequence[Trial], theirs: Sequence[Trial], metric: str, *, paired: bool) -> Interval | None:
    """Return the logarithm of the ratio of a metric, ours over theirs; None where there is nothing to compare.

    Paired, the statistic of a round is log(ours / theirs) of the medians taken in it, so that whatever drifts from
    round to round cancels out. Unpaired, the difference is that of two independent estimates.
    """
    if not paired:
        us, them = compute_round_logs(ours, metric), compute_round_logs(theirs, metric)
        sides = [estimate_mean([list(rounds.values()) for rounds in side.values()]) for side in (us, them) if side]
        return sides[0].minus(sides[1]) if len(sides) == 2 else None
    logs = list(_logs_by_launch(ours, theirs, metric, paired=True).values())
    return estimate_mean(logs) if any(logs) else None


def estimate_launch_ratio(ours: Sequence[Trial], theirs: Sequence[Trial], metric: str) -> Interval | None:
    """Return the logarithm of the ratio of what a check observes, which is one value a launch and none in a round.

    Returns:
        None where a side has no such value, or one that is not above zero.
    """
    sides = [
        [
            sample.value
            for trial in side
            if trial.status == OK
            for sample in trial.samples
            if sample.metric == metric and sample.round < 0
        ]
        for side in (ours, theirs)
    ]
    if not all(side and min(side) > 0 for side in sides):
        return None
    us, them = (estimate_mean([[math.log(value)] for value in side]) for side in sides)
    return us.minus(them)


def _ratio_of(logs: Interval, *, paired: bool) -> Ratio:
    """Return the ratio whose logarithm an interval is of."""
    return Ratio(
        exponentiate_log(logs.centre),
        exponentiate_log(logs.low),
        exponentiate_log(logs.high),
        paired,
        exponentiate_log(logs.detectable) - 1,
    )


def _logs_by_launch(
    ours: Sequence[Trial], theirs: Sequence[Trial], metric: str, *, paired: bool
) -> dict[int, list[float]]:
    """Return the logarithms of our values over theirs in the launches of both: of each round, or of the medians."""
    us, them = compute_round_logs(ours, metric), compute_round_logs(theirs, metric)
    common = [launch for launch in us if launch in them]
    if not paired:
        return {launch: [median(us[launch].values()) - median(them[launch].values())] for launch in common}
    return {
        launch: [us[launch][turn] - them[launch][turn] for turn in us[launch] if turn in them[launch]]
        for launch in common
    }
