"""The real console script, and checkouts of plug-ins to measure with it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

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
