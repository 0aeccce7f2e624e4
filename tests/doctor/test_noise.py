"""Spreads that are known are read from simulated runs of twins."""

from __future__ import annotations

import math
import random
import statistics
from pathlib import Path

import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.run import Run
from harness.core.run_description import RunDescription
from harness.core.suite import Policy
from harness.core.trial import CRASHED, Sample, Trial
from harness.detect import detect_environment
from harness.doctor.noise import estimate_noise, estimate_spread

ONE, OTHER = (Case("work", name, (("n", 4),)) for name in ("one", "other"))


def a_run(trials: list[Trial], *planned: PlannedCase) -> Run:
    group = Group(ONE.group, "one", planned or (PlannedCase(ONE), PlannedCase(OTHER)))
    return Run(Path("nowhere"), RunDescription("run", (group,), Policy(), detect_environment()), tuple(trials))


def twins(launches: int, rounds: int, samples: int, noise: tuple[float, float, float], seed: int = 0) -> Run:
    """Simulate twins whose launches, rounds and samples spread independently."""
    source, trials = random.Random(seed), []
    for case in (ONE, OTHER):
        for launch in range(launches):
            level = source.gauss(0, noise[0])
            values = []
            for turn in range(rounds):
                here = level + source.gauss(0, noise[1])
                times = (1e-3 * math.exp(here + source.gauss(0, noise[2])) for _ in range(samples))
                values += [Sample("time", time, turn, index) for index, time in enumerate(times)]
            trials.append(Trial(case, launch, samples=values))
    return a_run(trials)


def test_each_level_is_read_as_it_was_made() -> None:
    found = [estimate_noise(twins(10, 20, 30, (0.03, 0.01, 0.002), seed)) for seed in range(8)]
    assert statistics.mean(one.launch for one in found) == pytest.approx(0.03, rel=0.2)
    assert statistics.mean(one.round for one in found) == pytest.approx(0.01, rel=0.05)
    assert statistics.mean(one.sample for one in found) == pytest.approx(0.002, rel=0.05)
    assert (found[0].cases, found[0].launches, found[0].rounds) == (("one", "other"), 10, 200)


def test_a_few_values_in_each_group_do_not_look_tighter_than_they_are() -> None:
    source = random.Random(1)
    groups = [[source.gauss(group, 0.01) for _ in range(3)] for group in range(2000)]
    assert estimate_spread(groups) == pytest.approx(0.01, rel=0.05)


def test_one_wild_value_in_ten_does_not_decide() -> None:
    source = random.Random(2)
    groups = [[source.gauss(0, 0.01) + (source.random() < 0.1) * 5 for _ in range(20)] for _ in range(100)]
    assert estimate_spread(groups) == pytest.approx(0.01, rel=0.35)


def test_what_drifts_for_both_hides_from_separate_runs_and_not_from_turns() -> None:
    source = random.Random(3)
    drift = [[source.gauss(0, 0.05) for _ in range(20)] for _ in range(5)]
    trials = [
        Trial(
            case,
            launch,
            samples=[
                Sample("time", math.exp(shared + source.gauss(0, 0.001)), turn) for turn, shared in enumerate(line)
            ],
        )
        for case in (ONE, OTHER)
        for launch, line in enumerate(drift)
    ]
    found = estimate_noise(a_run(trials))
    assert found.paired.detectable < 0.002
    assert found.unpaired.detectable > 10 * found.paired.detectable
    assert math.isnan(found.sample)


def test_one_launch_does_not_tell_the_spread_of_launches() -> None:
    found = estimate_noise(twins(1, 20, 5, (0.01, 0.01, 0.01)))
    assert math.isnan(found.launch)
    assert found.round > 0


def test_twins_that_did_not_run_are_no_noise() -> None:
    run = twins(2, 5, 3, (0.0, 0.01, 0.01))
    failed = Trial(OTHER, 1, CRASHED, "turn: died of SIGSEGV")
    with pytest.raises(ValueError, match=r"work/other\[n=4\] crashed: turn: died of SIGSEGV"):
        estimate_noise(a_run([*run.trials[:-1], failed]))
    with pytest.raises(ValueError, match="needs 80 GiB"):
        estimate_noise(a_run([], PlannedCase(ONE), PlannedCase(OTHER, skip="needs 80 GiB")))
