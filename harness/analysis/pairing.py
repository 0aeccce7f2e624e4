"""Samples by round, the unit in which cases are paired."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from typing import TYPE_CHECKING

from harness.core.metric import PRIMARY
from harness.core.trial import OK

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.core.trial import Trial


def compute_round_medians(trials: Iterable[Trial], metric: str = PRIMARY) -> dict[int, dict[int, float]]:
    """Return the median of each round, by launch and round; the round is the unit in which cases are paired."""
    medians: dict[int, dict[int, float]] = {}
    for trial in trials:
        rounds = defaultdict[int, list[float]](list)
        for sample in trial.samples:
            if sample.metric == metric and sample.round >= 0:
                rounds[sample.round].append(sample.value)
        if rounds and trial.status == OK:
            # Most rounds of a slow step have one sample, and a report reads a hundred thousand of them.
            medians[trial.launch] = {
                number: values[0] if len(values) == 1 else statistics.median(values)
                for number, values in rounds.items()
            }
    return medians


def compute_round_logs(trials: Iterable[Trial], metric: str) -> dict[int, dict[int, float]]:
    """Return the logarithm of each round's median; empty where a value has none."""
    medians = compute_round_medians(trials, metric)
    if any(not value > 0 for rounds in medians.values() for value in rounds.values()):
        return {}
    return {launch: {turn: math.log(v) for turn, v in rounds.items()} for launch, rounds in medians.items()}
