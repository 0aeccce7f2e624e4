"""How well ranks scale, in runs whose times are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from harness.analysis.measurements import summarize_trials
from harness.core.case import Case, Group, PlannedCase
from harness.core.measurement import Measurement
from harness.core.run import Context
from harness.core.suite import Policy
from harness.core.trial import CRASHED, OK, Sample, Trial
from harness.core.workload import Cost

Launches = Sequence[Sequence[float]]
# Launches of rounds that spread about a second a step in one process.
ALONE = ((0.98, 1.0, 1.02), (1.0, 1.02, 1.04), (0.96, 0.98, 1.0))


def scaled(launches: Launches, factor: float) -> Launches:
    return [[factor * value for value in rounds] for rounds in launches]


def efficiencies(
    ranks: dict[int, Launches],
    *,
    alone: Launches = ALONE,
    baseline: str = "single",
    policy: Policy | None = None,
    costs: dict[int, Cost] | None = None,
    status: str = OK,
    flags: dict[int, str] | None = None,
) -> dict[int, Measurement]:
    """Return the efficiency of `spread` by ranks, from its times and those of `single` in one process."""
    groups, trials = [], list[Trial]()
    for size, launches in {1: alone, **ranks}.items():
        name = "single" if size == 1 else "spread"
        case = Case("work", name, (("world_size", size), ("n", 4)))
        cost = (costs or {}).get(size, Cost(flops=1e9))
        groups.append(Group(case.group, baseline, (PlannedCase(case, cost, world_size=size),)))
        for launch, rounds in enumerate(launches):
            samples = [
                Sample("time", value, number, 0, (flags or {}).get(size, "")) for number, value in enumerate(rounds)
            ]
            trials.append(Trial(case, launch, status if size == 1 else OK, samples=samples))
    context = Context(policy=policy or Policy(device="cpu", threads=4))
    rows = [row for row in summarize_trials(groups, trials, context) if row.metric == "efficiency"]
    return {int(row.case.params["world_size"]): row for row in rows}


def test_ranks_that_take_as_long_with_the_same_threads_are_as_efficient() -> None:
    found = efficiencies({2: ALONE, 4: scaled(ALONE, 2.0)})
    assert {ranks: round(row.median, 9) for ranks, row in found.items()} == {2: 1.0, 4: 0.5}


def test_gpus_and_threads_beyond_those_of_one_process_are_what_the_throughput_is_divided_by() -> None:
    gpus = efficiencies({4: scaled(ALONE, 0.5)}, policy=Policy(device="cuda:0", threads=4))
    crowded = efficiencies({4: ALONE}, policy=Policy(device="cpu", threads=2))
    assert gpus[4].median == pytest.approx(0.5)
    assert crowded[4].median == pytest.approx(0.5)


def test_a_batch_that_grows_with_the_ranks_is_more_throughput_in_the_same_time() -> None:
    costs = {1: Cost(flops=9.0, items=8), 2: Cost(flops=9.0, items=16)}
    gpus = Policy(device="cuda:0", threads=1)
    assert efficiencies({2: ALONE}, costs=costs, policy=gpus)[2].median == pytest.approx(1.0)


def test_an_interval_is_as_wide_as_both_times_leave_it() -> None:
    steady, spread = [[2.0] * 3] * 3, [[1.8] * 3, [2.0] * 3, [2.2] * 3]
    one, other, both = (
        efficiencies({2: mine}, alone=base)[2]
        for mine, base in ((steady, ALONE), (spread, [[1.0] * 3] * 3), (spread, ALONE))
    )
    assert one.ci_low < 0.5 < one.ci_high
    assert both.ci_high - both.ci_low > one.ci_high - one.ci_low
    assert both.ci_low < both.median < both.ci_high
    assert other.ci_low < other.median < other.ci_high


def test_what_speaks_against_either_time_speaks_against_the_efficiency() -> None:
    found = efficiencies({2: ALONE}, flags={1: "waiting", 2: "contended_ranks"})[2]
    assert {"waiting", "contended_ranks"} <= set(found.flags)


def test_without_a_time_in_one_process_or_work_to_count_there_is_no_efficiency() -> None:
    assert efficiencies({2: ALONE}, alone=()) == {}
    assert efficiencies({2: ALONE}, status=CRASHED) == {}
    assert efficiencies({2: ALONE}, baseline="other") == {}
    assert efficiencies({2: ALONE}, costs={1: Cost(), 2: Cost()}) == {}
    assert efficiencies({2: [[math.nan]]}) == {}
