"""The GitHub action's script, run as the action runs it: a checkout, variables, and `bench` on the path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / ".github" / "actions" / "gate" / "gate.sh"


# In place of `bench`: a run and a gate that end with such codes, and leave a word that they were called.
STAND_IN = """#!/usr/bin/env bash
echo "$@" >>calls
case $1 in run) exit {run} ;; gate) exit {gate} ;; esac
"""


def variables(place: Path, first: Path, **changes: str) -> dict[str, str]:
    return {
        "PATH": f"{first}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "TMPDIR": str(place),
        "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
        "GITHUB_OUTPUT": str(place / "output"),
        "SELECT": "work --load mine.py --budget 0.5s --launches 3 --threads 1",
        "AGAINST": "HEAD~1",
        "MARGIN": "5%",
        "BUDGET": "1m",
        "SETUP": "",
        "INCONCLUSIVE": "warn",
        "RESULTS": "out",
    } | changes


def test_the_action_fails_on_a_slowdown_and_leaves_what_ci_systems_read(
    place: Path, commit: Callable[..., str]
) -> None:
    commit(0.001)
    commit(0.003)
    given = variables(place, Path(sys.executable).parent)
    done = subprocess.run(("bash", str(SCRIPT)), cwd=place, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert (place / "output").read_text() == "code=1\n"
    assert (place / "summary.md").read_text().startswith("## Benchwright: ")
    assert (place / "out" / "junit.xml").exists()


@pytest.mark.parametrize(
    ("run", "gate", "inconclusive", "code"),
    [
        (0, 0, "fail", 0),
        (0, 1, "warn", 1),
        (0, 3, "warn", 0),
        (0, 3, "fail", 3),
        (0, 2, "warn", 2),
        (1, 0, "fail", 0),
        (2, None, "warn", 2),
        (130, None, "warn", 130),
    ],
)
def test_the_action_ends_as_the_gate_does_and_as_a_run_that_did_not_come_to_one(
    place: Path, run: int, gate: int | None, inconclusive: str, code: int
) -> None:
    stand_in = place / "bin" / "bench"
    stand_in.parent.mkdir()
    stand_in.write_text(STAND_IN.format(run=run, gate=gate))
    stand_in.chmod(0o755)
    given = variables(place, stand_in.parent, SETUP="make it", INCONCLUSIVE=inconclusive)
    done = subprocess.run(("bash", str(SCRIPT)), cwd=place, env=given, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (code, "")
    calls = (place / "calls").read_text().splitlines()
    assert calls[0] == f"run {given['SELECT']} --against HEAD~1 --setup make it --results out"
    assert calls[1:] == ([] if gate is None else ["gate --results out --margin 5% --budget 1m --junit out/junit.xml"])
    assert (place / "output").exists() == (gate is not None)
    assert gate is None or (place / "output").read_text() == f"code={gate}\n"


def test_the_action_passes_on_what_the_harness_says_of_a_bad_request(place: Path, commit: Callable[..., str]) -> None:
    commit(0.001)
    names = ("MARGIN", "BUDGET", "INCONCLUSIVE")
    variables = {**dict.fromkeys(names, "1"), "SELECT": "nowhere", "AGAINST": "HEAD", "RESULTS": "out"}
    path = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }
    done = subprocess.run(
        ("bash", str(SCRIPT)), cwd=place, env={**variables, **path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown workload or suite 'nowhere'" in done.stderr
