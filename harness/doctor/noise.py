"""How noisy a machine is, and what can be seen through the noise: from a run of the same code under two names."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from itertools import combinations, groupby
from typing import TYPE_CHECKING

from harness.analysis.pairing import compute_round_logs
from harness.analysis.ratio import estimate_log_ratio
from harness.core.metric import PRIMARY
from harness.core.trial import OK

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from harness.analysis.interval import Interval
    from harness.core.run import Run
    from harness.core.trial import Trial

# The median distance of two values from a normal distribution, in standard deviations.
_MEDIAN_DISTANCE = math.sqrt(2) * 0.6745
# Values of a turn that are compared with each other: their number grows with the square.
_COMPARED = 25


@dataclass(frozen=True)
class Noise:
    """What a run of twins shows. Spreads are relative standard deviations, NaN where there is too little to tell.

    Attributes:
        cases: the twins.
        launches: of each.
        rounds: of each, over all launches.
        launch: spread of the launches' medians.
        round: spread of the rounds' medians within a launch.
        sample: spread of the samples within a round.
        paired: logarithm of the ratio of the twins' times, taken within rounds.
        unpaired: the same as if each twin had a run of its own.
    """

    cases: tuple[str, str]
    launches: int
    rounds: int
    launch: float
    round: float
    sample: float
    paired: Interval
    unpaired: Interval


def estimate_noise(run: Run) -> Noise:
    """Return the noise that a complete run of one pair of twins shows.

    Raises:
        ValueError: a twin does not run here, failed, or has no times.
    """
    twins = run.groups[0].runnable[:2]
    if len(twins) < 2:
        raise ValueError("; ".join(planned.skip for planned in run.groups[0].cases if planned.skip))
    ours, theirs = ([trial for trial in run.trials if trial.case == planned.case] for planned in twins)
    if failed := next((trial for trial in (*ours, *theirs) if trial.status != OK), None):
        raise ValueError(f"{failed.case.id} {failed.status}: {failed.message}")
    paired, unpaired = (estimate_log_ratio(theirs, ours, PRIMARY, paired=paired) for paired in (True, False))
    if paired is None or unpaired is None:
        raise ValueError("the twins have no times in common rounds")
    logs = [compute_round_logs(trials, PRIMARY) for trials in (ours, theirs)]
    return Noise(
        cases=(ours[0].case.implementation, theirs[0].case.implementation),
        launches=len(logs[0]),
        rounds=sum(map(len, logs[0].values())),
        launch=estimate_spread([[statistics.median(rounds.values()) for rounds in side.values()] for side in logs]),
        round=estimate_spread([list(rounds.values()) for side in logs for rounds in side.values()]),
        sample=estimate_spread(_turns([*ours, *theirs])),
        paired=paired,
        unpaired=unpaired,
    )


def estimate_spread(groups: Iterable[Sequence[float]]) -> float:
    """Return the standard deviation within groups, from the median distance of two values of a group.

    It needs no centre, so that groups of a few values do not look tighter than they are, and a quarter of the values
    may be wild. NaN where no group has two.
    """
    distances = [abs(one - other) for group in groups for one, other in combinations(group, 2)]
    return statistics.median(distances) / _MEDIAN_DISTANCE if distances else math.nan


def _turns(trials: Iterable[Trial]) -> list[list[float]]:
    """Return logarithms of the samples of each turn, evenly thinned."""
    turns = []
    for trial in trials:
        timed = [sample for sample in trial.samples if sample.metric == PRIMARY and sample.round >= 0]
        for _, samples in groupby(timed, key=lambda sample: sample.round):
            values = [math.log(sample.value) for sample in samples]
            turns.append(values[:: math.ceil(len(values) / _COMPARED)])
    return turns
