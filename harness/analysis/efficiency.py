"""How well ranks scale: the throughput of all of them over that of one process, for each processor they use more.

A processor is a GPU, or on the CPU a thread: one process has all threads of the run, and ranks share them, so that on
one machine an efficiency below 1 is what dividing the work costs.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis.ratio import compare_times
from harness.core.flag import Flag
from harness.core.measurement import Measurement

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.analysis.ratio import Ratio
    from harness.core.case import Case, Group, PlannedCase
    from harness.core.suite import Policy
    from harness.core.trial import Trial

EFFICIENCY, RANKS = "efficiency", "world_size"
# With one of these on either side, a time is no measure of scaling.
CONTENDED = frozenset(flag for flag in Flag if flag.scaling)


def compute_efficiencies(
    groups: Sequence[Group], trials: Mapping[Case, list[Trial]], times: Mapping[Case, Measurement], policy: Policy
) -> Iterator[Measurement]:
    """Yield the efficiency of each case on several ranks, against the baseline in one process at the same point.

    Args:
        groups: the plan.
        trials: what came of it, by case.
        times: the measured times, whose flags are the efficiency's too.
        policy: how many threads there were, and on what device.
    """
    for ours, alone in _pairs(groups):
        gain = _work(ours, alone) * _processors(alone, policy) / _processors(ours, policy)
        ratio = compare_times(trials[ours.case], trials[alone.case], paired=False)
        if gain and ratio and ours.case in times and alone.case in times:
            yield _efficiency(gain, ratio, times[ours.case], times[alone.case])


def _pairs(groups: Sequence[Group]) -> Iterator[tuple[PlannedCase, PlannedCase]]:
    """Yield each case on several ranks with the one in one process that it is held against, where the plan has it."""
    known = {planned.case: planned for group in groups for planned in group.cases}
    for group in groups:
        for planned in group.cases:
            alone = known.get(_alone(planned.case, group.baseline))
            if planned.world_size > 1 and alone and alone.world_size == 1:
                yield planned, alone


def _alone(case: Case, baseline: str) -> Case:
    """Return the baseline at the same point with one rank."""
    return replace(
        case, implementation=baseline, point=tuple((name, 1 if name == RANKS else value) for name, value in case.point)
    )


def _work(ours: PlannedCase, theirs: PlannedCase) -> float:
    """Return our work in a step over theirs: items, or else operations; 0 where neither is counted."""
    counts = ((ours.cost.items, theirs.cost.items), (ours.cost.flops, theirs.cost.flops))
    return next((mine / other for mine, other in counts if mine and other), 0.0)


def _processors(planned: PlannedCase, policy: Policy) -> int:
    ranks = planned.world_size
    return ranks * policy.threads_of(ranks) if policy.device == "cpu" else ranks


def _efficiency(gain: float, ratio: Ratio, ours: Measurement, theirs: Measurement) -> Measurement:
    """Return the gain over the ratio of times; a long time is a low efficiency, so the ends change places."""
    flags = tuple(dict.fromkeys(ours.flags + theirs.flags))
    ends = gain / ratio.ci_high, gain / ratio.ci_low
    counts = min(ours.n, theirs.n), min(ours.launches, theirs.launches)
    source = f"over {theirs.case.implementation} in one process"
    return Measurement(ours.case, EFFICIENCY, *counts, gain / ratio.value, *ends, flags, source)
