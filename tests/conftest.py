"""What tests of several rooms need: runs with known numbers, the real console script, and checkouts of a plug-in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.metric import Metric, index_by_name
from harness.core.run import Run
from harness.core.run_description import COMPLETE
from harness.core.suite import Policy
from harness.core.trial import OK, Launch, Sample, Trial
from harness.core.variant import Variant
from harness.git import untie_process
from harness.runner import execute_run
from tests.support import command
from tests.support.git import commit as commit_all
from tests.support.git import git
from tests.support.launcher import FakeLaunches
from tests.support.plug_in import WAITS
from tests.support.runs import ON_CPU, here, recorded_run

POINT = (("n", 4),)
# A hook may run the tests, which commit to checkouts of their own.
untie_process()
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
        variant: Variant | None = None,
        runtime: Mapping[str, Any] | None = None,
        policy: Policy = ON_CPU,
        metrics: Iterable[Metric] = (),
        **machine: Any,
    ) -> Run:
        group = Group("work[n=4]", "base", tuple(PlannedCase(Case("work", name, POINT)) for name in times))
        launch = Launch(0, "", {"torch_threads": 1, **(runtime or {})})
        every = (trial for name, those in times.items() for trial in trials(name, those, extra or {}))
        return recorded_run(
            results or tmp_path / "results",
            [group],
            [launch, *every],
            policy=policy,
            environment=here(**machine),
            state=state,
            variant=variant,
            metrics={"work": index_by_name(metrics)},
        )

    return write


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own, also for what keeps two runs of a user apart."""
    before = Path.cwd()
    os.chdir(tmp_path)
    yield tmp_path
    os.chdir(before)


@pytest.fixture
def bench() -> Callable[..., subprocess.CompletedProcess[str]]:
    return command.bench


@pytest.fixture
def start() -> Callable[..., subprocess.Popen[str]]:
    return command.start


@pytest.fixture
def faked(
    place: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a command in this process, and its workers in none: ``faked(launches, "run", ...)``.

    It works in ``place``. What it prints and its exit code are those of the console script.
    """

    def run(launches: FakeLaunches, *arguments: str) -> subprocess.CompletedProcess[str]:
        from harness.cli.main import main
        from harness.cli.run import _catalog

        for caller in ("harness.cli.measure", "harness.gate", "harness.bisect"):
            monkeypatch.setattr(f"{caller}.execute_run", partial(execute_run, open_launcher=launches))
        for name in [name for name in os.environ if name.startswith("GITHUB_")]:
            monkeypatch.delenv(name)
        monkeypatch.setattr(sys, "argv", [command.BENCH, *arguments])
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        for stream in ("stdout", "stderr"):  # which a command replaces for its process
            monkeypatch.setattr(sys, stream, getattr(sys, stream))
        _catalog.cache_clear()
        capfd.readouterr()
        interruption = signal.getsignal(signal.SIGINT)
        with pytest.raises(SystemExit) as ended:
            main()
        signal.signal(signal.SIGINT, interruption)
        printed = capfd.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def commit(place: Path) -> Callable[..., str]:
    """Return a function that commits a version of the plug-in `mine.py`, whose step takes so many seconds."""
    git(place, "init", "--quiet", "--initial-branch", "main")
    (place / ".gitignore").write_text("*\n!mine.py\n!.gitignore\n")

    def make(seconds: float | str, also: str = "") -> str:
        (place / "mine.py").write_text(WAITS.replace("{seconds}", str(seconds)) + also)
        git(place, "add", ".gitignore", "mine.py")
        return commit_all(place, f"It takes {seconds}")

    return make
