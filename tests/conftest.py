"""What tests of several rooms need: runs with known numbers, the real console script, and checkouts of a plug-in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.summary import summarise
from harness.core.case import Case, Group, PlannedCase
from harness.core.environment import Environment
from harness.core.metric import Metric, by_name
from harness.core.run import COMPLETE, Run
from harness.core.suite import Policy
from harness.core.trial import OK, Launch, Sample, Trial
from harness.detect import detect
from harness.store.read import read_run
from harness.store.write import append, create_run, new_run_id, write_tables

POINT = (("n", 4),)
BENCH = str(Path(sys.executable).with_name("bench"))
PLUG_IN = '''
from __future__ import annotations
import time
import torch
from harness import Axis, Reference, Workload, implementation

axes = (Axis.integer("n", 4, "Elements."),)
work = Workload("work", "Wait, and copy.", axes, lambda p, d, g: torch.ones(p["n"]), Reference, "waits")


def waiting(x, seconds):
    def step():
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return x.clone()
    return step


@implementation("work")
def waits(x):
    """Wait."""
    return waiting(x, {seconds})
'''
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
        metrics: Iterable[Metric] = (),
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
            metrics={"work": by_name(metrics)},
        )
        append(folder, Launch(0, "", {"torch_threads": 1, **(runtime or {})}))
        for name, those in times.items():
            for trial in trials(name, those, extra or {}):
                append(folder, trial)
        run = read_run(folder)
        write_tables(folder, run.meta, run.trials, summarise(run.groups, run.trials, run.context), state)
        return read_run(folder)

    return write


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own, also for what keeps two runs of a user apart."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


def environment(**variables: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return {**inherited, "TMPDIR": str(Path.cwd()), "COLUMNS": "120", **variables}


@pytest.fixture
def bench() -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            (BENCH, *arguments), env=environment(**variables), capture_output=True, text=True, timeout=300, check=False
        )

    return run


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    def begin(*arguments: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen((BENCH, *arguments), env=environment(), stdout=pipe, stderr=pipe, text=True)

    return begin


def git(folder: Path, *words: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    done = subprocess.run(("git", "-C", str(folder), *identity, *words), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def commit(place: Path) -> Callable[..., str]:
    """Return a function that commits a version of the plug-in `mine.py`, whose step takes so many seconds."""
    git(place, "init", "--quiet", "--initial-branch", "main")
    (place / ".gitignore").write_text("*\n!mine.py\n!.gitignore\n")

    def make(seconds: float | str, also: str = "") -> str:
        (place / "mine.py").write_text(PLUG_IN.replace("{seconds}", str(seconds)) + also)
        git(place, "add", ".gitignore", "mine.py")
        git(place, "commit", "--quiet", "--allow-empty", "-m", f"It takes {seconds}")
        return git(place, "rev-parse", "HEAD")

    return make
