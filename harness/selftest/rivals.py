"""Other tools, each as its users run it: a process a side, one after the other, judged by the tool's own rule."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.comparison import EQUIVALENT, FASTER, SLOWER
from harness.core.errors import HarnessError
from harness.core.median import estimate_median_interval
from harness.detect import has_module

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.comparison import Verdict
    from harness.plan import Plan

_SCRIPTS = Path(__file__).parent
# The least that a tool takes: the start of a process that imports torch, and its own calibration.
_PYPERF_PROCESS_S = 2.5
_START_S = 2.0
_LIMIT_S = 600
# pytest-benchmark fails on a threshold that its users choose; this is the margin that this harness has too.
_THRESHOLD = 0.01


@dataclass(frozen=True)
class Rival:
    """A tool: how it measures a side in so many seconds, and what it says of two sides, the base first."""

    name: str
    module: str
    rule: str
    measure: Callable[[Plan, tuple[str, ...], float, float], Any]
    verdict: Callable[[Any, Any], Verdict]


def find_installed() -> list[Rival]:
    """Return the tools that are there."""
    return [rival for rival in _RIVALS if has_module(rival.module)]


def _timer(plan: Plan, sources: tuple[str, ...], planted: float, seconds: float) -> list[float]:
    until = str(time.time() + seconds)
    return list(
        json.loads(_run(sys.executable, str(_SCRIPTS / "timer_script.py"), _spec(plan, sources, planted), until))
    )


def _disjoint(base: list[float], new: list[float]) -> Verdict:
    """Judge by the 95 % intervals of the two medians: torch prints both, and has no test of its own."""
    ours, theirs = estimate_median_interval(new), estimate_median_interval(base)
    if ours[0] > theirs[1]:
        return SLOWER
    return FASTER if ours[1] < theirs[0] else EQUIVALENT


def _pyperf(plan: Plan, sources: tuple[str, ...], planted: float, seconds: float) -> list[float]:
    processes = max(2, round(seconds / _PYPERF_PROCESS_S))
    with tempfile.TemporaryDirectory(prefix="benchwright-") as folder:
        out = Path(folder, "out.json")
        step = ("--step", _spec(plan, sources, planted))
        options = ("--quiet", "--processes", str(processes), "--output", str(out))
        _run(sys.executable, str(_SCRIPTS / "pyperf_script.py"), *step, *options)
        runs = json.loads(out.read_text())["benchmarks"][0]["runs"]
    return [value for run in runs for value in run.get("values", ())]


def _t_test(base: list[float], new: list[float]) -> Verdict:
    """Judge as ``pyperf compare_to`` does: Student's t on the pooled values at 95 %."""
    from scipy.stats import ttest_ind

    if ttest_ind(new, base).pvalue >= 0.05:
        return EQUIVALENT
    return SLOWER if statistics.mean(new) > statistics.mean(base) else FASTER


def _pytest_benchmark(plan: Plan, sources: tuple[str, ...], planted: float, seconds: float) -> float:
    with tempfile.TemporaryDirectory(prefix="benchwright-") as folder:
        out = Path(folder, "out.json")
        options = (f"--benchmark-json={out}", f"--benchmark-max-time={max(0.5, seconds - _START_S)}", "--quiet")
        script = str(_SCRIPTS / "pytest_script.py")
        alone = ("-p", "no:cacheprovider", "--rootdir", folder, "-c", os.devnull)
        variables = {"BENCHWRIGHT_STEP": _spec(plan, sources, planted)}
        _run(sys.executable, "-m", "pytest", script, *alone, *options, **variables)
        return float(json.loads(out.read_text())["benchmarks"][0]["stats"]["median"])


def _threshold(base: float, new: float) -> Verdict:
    """Judge as ``--benchmark-compare-fail=median:1%`` does."""
    if abs(new / base - 1) <= _THRESHOLD:
        return EQUIVALENT
    return SLOWER if new > base else FASTER


def _spec(plan: Plan, sources: tuple[str, ...], planted: float) -> str:
    case, policy = plan.groups[0].runnable[0].case, plan.policy
    names = {"workload": case.workload, "implementation": case.implementation, "params": case.params}
    return json.dumps({**names, "threads": policy.threads, "seed": policy.seed, "sources": sources, "planted": planted})


def _run(*command: str, **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env=environment,
        timeout=_LIMIT_S,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise HarnessError(f"{Path(command[1]).name} ended with {done.returncode}: {' '.join(last)}")
    return done.stdout


_RIVALS = (
    Rival("torch.utils.benchmark", "torch", "intervals of the medians apart", _timer, _disjoint),
    Rival("pyperf", "pyperf", "its t test", _pyperf, _t_test),
    Rival("pytest-benchmark", "pytest_benchmark", "medians 1 % apart", _pytest_benchmark, _threshold),
)
