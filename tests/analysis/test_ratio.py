"""The mean of several ratios, and how sure it is, against ratios that are known."""

from __future__ import annotations

import math
import random

import pytest

from harness.analysis.ratio import average_ratios, compare_times
from harness.core.case import Case
from harness.core.trial import OK, Sample, Trial

BASE, OTHER = Case("work", "base", ()), Case("work", "other", ())


def trials(case: Case, launches: list[list[float]]) -> list[Trial]:
    return [
        Trial(case, number, OK, samples=[Sample("time", seconds, turn) for turn, seconds in enumerate(rounds)])
        for number, rounds in enumerate(launches)
    ]


def noisy(factors: list[float], source: random.Random, *, shared: float) -> list[tuple[list[Trial], list[Trial]]]:
    """Return a question for each factor; what a launch does to the ratio is the same at all of them."""
    effects = [source.gauss(0, shared) for _ in range(5)]
    return [
        (
            trials(
                OTHER, [[factor * math.exp(effect + source.gauss(0, 0.005)) for _ in range(8)] for effect in effects]
            ),
            trials(BASE, [[math.exp(source.gauss(0, 0.005)) for _ in range(8)] for _ in effects]),
        )
        for factor in factors
    ]


@pytest.mark.parametrize("paired", [True, False])
def test_the_mean_is_that_of_logarithms(*, paired: bool) -> None:
    questions = noisy([0.5, 2.0, 8.0], random.Random(1), shared=0.01)
    each = [compare_times(*one, paired=paired) for one in questions]
    mean = average_ratios(questions, paired=paired)
    assert mean is not None
    assert mean.value == pytest.approx(math.prod(one.value for one in each if one) ** (1 / 3))
    assert mean.ci_low < 2.0 < mean.ci_high


def test_what_a_launch_does_to_all_questions_does_not_average_out() -> None:
    source = random.Random(2)
    held = sum(
        mean.ci_low < 1.0 < mean.ci_high
        for _ in range(200)
        if (mean := average_ratios(noisy([1.0] * 6, source, shared=0.05), paired=True))
    )
    assert held >= 180, f"{held} of 200 intervals hold the truth"


def test_without_a_ratio_at_one_question_there_is_no_mean() -> None:
    known = (trials(OTHER, [[2.0]]), trials(BASE, [[1.0]]))
    assert average_ratios([known, (trials(OTHER, []), trials(BASE, [[1.0]]))], paired=True) is None
    assert average_ratios([], paired=True) is None


def test_questions_without_a_launch_in_common_have_a_mean_without_an_interval() -> None:
    late = [Trial(one.case, 7, one.status, samples=one.samples) for one in trials(OTHER, [[8.0, 8.0]])]
    base = [Trial(one.case, 7, one.status, samples=one.samples) for one in trials(BASE, [[1.0, 1.0]])]
    mean = average_ratios([(trials(OTHER, [[2.0, 2.0]]), trials(BASE, [[1.0, 1.0]])), (late, base)], paired=True)
    assert mean is not None
    assert mean.value == pytest.approx(4.0)
    assert math.isnan(mean.ci_low)
