"""A small run with everything that an export must get right: failures, text of others, and values that are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.run import Run
from harness.core.run_description import COMPLETE
from harness.core.trial import ERROR, OK, SKIPPED, Sample, Trial
from harness.core.workload import Cost
from tests.support.runs import ON_CPU, recorded_run

POINT = (("n", 4), ("causal", False), ("dtype", "bf16"))
HOSTILE = "=1+1|`id`\\|<b>*_x_* @all #1 [a](b)"
MESSAGE = '@SUM(A1)\n\r| a | `b` <img src=x> "q", done'
BASE, OTHER = Case("work", "base", POINT), Case("work", HOSTILE, POINT)
BROKEN, SKIPS = Case("work", "broken", POINT), Case("work", "skips", POINT)
GROUP = Group(BASE.group, "base", (PlannedCase(BASE, Cost(flops=2e6)), *map(PlannedCase, (OTHER, BROKEN, SKIPS))))


def _timed(case: Case, launch: int, values: list[float], flags: str = "") -> Trial:
    samples = [Sample("time", value, turn, 0, flags) for turn, value in enumerate(values)]
    return Trial(case, launch, OK, samples=[*samples, Sample("max_abs_error", float("nan") if launch else 1e-7)])


TRIALS = [
    _timed(BASE, 0, [1e-3, 1.1e-3, 1.2e-3]),
    _timed(OTHER, 0, [2e-3, 2.2e-3, 9e-3], "not_steady"),
    Trial(BROKEN, 0, ERROR, MESSAGE, samples=[Sample("time", 1.0, 0)]),
    Trial(SKIPS, 0, SKIPPED, "needs CUDA"),
    _timed(BASE, 1, [1e-3, 1.1e-3, 1.3e-3]),
    _timed(OTHER, 1, [2e-3, 2.3e-3, 2.5e-3]),
]


def stored(results: Path, trials: list[Trial], state: str = COMPLETE) -> Run:
    policy = replace(ON_CPU, launches=2)
    return recorded_run(results, [GROUP], trials, run_id="work-1", policy=policy, state=state, tags={"k": "v"})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return stored(tmp_path / "results", TRIALS)


@pytest.fixture
def failed_run(tmp_path: Path) -> Run:
    return stored(tmp_path / "results", [trial for trial in TRIALS if trial.status != OK])
