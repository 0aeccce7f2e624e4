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


@pytest.mark.parametrize(
    ("before", "after", "inconclusive", "code"),
    [(0.001, 0.003, "warn", 1), (0.001, 0.001, "warn", 0), (0.003, 0.001, "fail", 0)],
)
def test_the_action_fails_on_a_slowdown_and_on_nothing_else(
    place: Path, commit: Callable[..., str], before: float, after: float, inconclusive: str, code: int
) -> None:
    commit(before)
    commit(after)
    variables = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(place),
        "GITHUB_STEP_SUMMARY": str(place / "summary.md"),
        "GITHUB_OUTPUT": str(place / "output"),
        "SELECT": "work --load mine.py --budget 0.5s --launches 3 --threads 1",
        "AGAINST": "HEAD~1",
        "MARGIN": "5%",
        "BUDGET": "1m",
        "SETUP": "",
        "INCONCLUSIVE": inconclusive,
        "RESULTS": "out",
    }
    done = subprocess.run(("bash", str(SCRIPT)), cwd=place, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"code={code}" in (place / "output").read_text() or inconclusive == "warn"
    assert (place / "summary.md").read_text().startswith("## Benchwright: ")
    assert (place / "out" / "junit.xml").exists()


def test_the_action_passes_on_what_the_harness_says_of_a_bad_request(place: Path, commit: Callable[..., str]) -> None:
    commit(0.001)
    names = ("MARGIN", "BUDGET", "INCONCLUSIVE")
    variables = {**dict.fromkeys(names, "1"), "SELECT": "nowhere", "AGAINST": "HEAD", "RESULTS": "out"}
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ("bash", str(SCRIPT)), cwd=place, env={**variables, **path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "unknown workload or suite 'nowhere'" in done.stderr
