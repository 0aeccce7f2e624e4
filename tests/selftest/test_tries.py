from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.selftest.rivals import Rival, installed
from harness.selftest.tries import Tally

Bench = Callable[..., subprocess.CompletedProcess[str]]
RIVALS = {rival.name: rival for rival in installed()}
NEAR, FAR = [1.0 + 0.001 * n for n in range(20)], [1.1 + 0.001 * n for n in range(20)]


@pytest.mark.parametrize(
    ("found", "smallest"),
    [
        ({0.01: 3, 0.02: 19, 0.05: 20}, 0.02),
        ({0.01: 20, 0.02: 18, 0.05: 20}, 0.05),
        ({0.01: 0, 0.02: 0, 0.05: 18}, None),
    ],
)
def test_an_effect_is_seen_where_it_and_all_larger_ones_are_found_in_95_percent(
    found: dict[float, int], smallest: float | None
) -> None:
    assert Tally("tool", 20, 0, found, 1.0).smallest == smallest


@pytest.mark.parametrize("rival", RIVALS.values(), ids=RIVALS)
def test_every_tool_can_say_all_three_words(rival: Rival) -> None:
    near, far = (NEAR, FAR) if rival.name != "pytest-benchmark" else (NEAR[10], FAR[10])
    assert rival.verdict(near, far) == "slower"
    assert rival.verdict(far, near) == "faster"
    assert rival.verdict(near, near) == "equivalent"


def test_all_tools_measure_the_same_step_and_the_counts_come_as_json(place: Path, bench: Bench) -> None:
    arguments = ("--tries", "1", "--effects", "300%", "--launches", "3", "--budget", "0.3s", "--json")
    done = bench("selftest", *arguments)
    assert done.returncode == 0, done.stderr
    rows = {row["tool"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"benchwright", *RIVALS}
    assert {name: row["found"]["3.0"] for name, row in rows.items()} == dict.fromkeys(rows, 1)


def test_a_tool_that_does_not_run_is_an_error_of_the_harness(place: Path, bench: Bench) -> None:
    (place / "pyperf.py").write_text("raise SystemExit('broken here')\n")
    done = bench(
        "selftest", "--tries", "1", "--effects", "50%", "--launches", "1", "--budget", "0.2s", PYTHONPATH=str(place)
    )
    assert done.returncode == 4
    assert done.stderr.splitlines()[-1] == "bench: pyperf_script.py ended with 1: broken here"
