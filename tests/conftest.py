"""Runs with known numbers, on disk as the harness writes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.summary import summarise
from harness.core.case import Case, Group, PlannedCase
from harness.core.environment import Environment
from harness.core.run import COMPLETE, Run
from harness.core.suite import Policy
from harness.core.trial import OK, Launch, Sample, Trial
from harness.detect import detect
from harness.store.read import read_run
from harness.store.write import append, create_run, new_run_id, write_tables

POINT = (("n", 4),)
# Times of one implementation: rounds of every launch, or how it ended.
Times = Sequence[Sequence[float]] | str


def noisy(
    seed: int, factor: float = 1.0, *, launches: int = 5, launch_spread: float = 0.0, spread: float = 0.002
) -> list[list[float]]:
    """Draw the times of rounds, about a millisecond."""
    source = np.random.default_rng(seed)
    logs = source.normal(0, launch_spread, (launches, 1)) + source.normal(0, spread, (launches, 20))
    return (1e-3 * factor * np.exp(logs)).tolist()  # type: ignore[no-any-return]


def trials(implementation: str, times: Times, extra: Mapping[str, float]) -> list[Trial]:
    case = Case("work", implementation, POINT)
    if isinstance(times, str):
        status, _, message = times.partition(": ")
        return [Trial(case, 0, status, message)]
    found = []
    for launch, rounds in enumerate(times):
        samples = [Sample("time", value, number) for number, value in enumerate(rounds)]
        samples += [Sample(metric, value) for metric, value in extra.items()]
        found.append(Trial(case, launch, OK, samples=samples))
    return found


@pytest.fixture
def draw() -> Callable[..., list[list[float]]]:
    return noisy


@pytest.fixture
def record(tmp_path: Path) -> Callable[..., Run]:
    """Return a function that writes a run of ``work`` and reads it back."""

    def write(
        times: Mapping[str, Times],
        *,
        extra: Mapping[str, float] | None = None,
        results: Path | None = None,
        state: str = COMPLETE,
        revision: Mapping[str, Any] | None = None,
        runtime: Mapping[str, Any] | None = None,
        policy: Policy | None = None,
        **machine: Any,
    ) -> Run:
        environment: Environment = replace(detect(), git_dirty=False, **machine)
        group = Group("work[n=4]", "base", tuple(PlannedCase(Case("work", name, POINT)) for name in times))
        folder = create_run(
            results or tmp_path / "results",
            new_run_id("work"),
            [group],
            policy or Policy(device="cpu", threads=1, mode="host"),
            environment,
            command=["bench"],
            sources=[],
            tags={},
            revision=revision,
        )
        append(folder, Launch(0, "", {"torch_threads": 1, **(runtime or {})}))
        for name, those in times.items():
            for trial in trials(name, those, extra or {}):
                append(folder, trial)
        run = read_run(folder)
        write_tables(folder, run.meta, run.trials, summarise(run.groups, run.trials), state)
        return read_run(folder)

    return write
