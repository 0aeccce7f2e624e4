from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.case import Case, Group, PlannedCase
from harness.core.comparison import FASTER, SLOWER
from harness.core.errors import HarnessError
from harness.core.rules import Rules
from harness.core.run import Run
from harness.core.suite import Policy
from harness.detect import detect_environment
from harness.plan import Plan
from harness.runner import Observer
from harness.selftest import tries
from harness.selftest.rivals import Rival, find_installed
from harness.selftest.tries import Tally, TrialSetting, run_tries

Bench = Callable[..., subprocess.CompletedProcess[str]]
Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]
TWIN = Case("calibration", "twin_a", ())
PLAN = Plan((Group(TWIN.group, "twin_a", (PlannedCase(TWIN),)),), Policy(device="cpu", threads=1))
RIVALS = {rival.name: rival for rival in find_installed()}
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


def test_what_is_said_of_each_side_is_counted(
    record: Record, draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three tries the first finds what was planted, the second nothing, and the third a difference too many."""
    sides = [(1.0, 1.0, 1.05), (1.0, 1.0, 1.0), (1.0, 0.95, 1.05)]
    measured = [
        tuple(record({"twin_a": draw(3 * n + side, factor)}) for side, factor in enumerate(factors))
        for n, factors in enumerate(sides)
    ]
    monkeypatch.setattr(tries, "start_run", lambda *arguments, **names: measured.pop(0))
    given = list[float]()

    def measure(plan: Plan, sources: tuple[str, ...], planted: float, seconds: float) -> float:
        given.append(seconds)
        return planted

    alarmed = Rival("alarmed", "", "", measure, lambda base, new: SLOWER if new >= base else FASTER)
    setting = TrialSetting(PLAN, [0.05], Rules(), detect_environment(), Observer(print, print, print), (), tmp_path)
    own, other = run_tries(setting, [alarmed], 3, print)
    assert (own.tool, own.alarms, own.found, own.tries) == ("benchwright", 1, {0.05: 2}, 3)
    assert (other.tool, other.alarms, other.found) == ("alarmed", 3, {0.05: 3})
    assert sum(given) == pytest.approx(own.seconds, rel=0.1)


def test_all_tools_measure_the_same_step_and_the_counts_come_as_json(place: Path, bench: Bench) -> None:
    arguments = ("--tries", "1", "--effects", "300%", "--launches", "1", "--budget", "0.2s", "--json")
    done = bench("selftest", *arguments)
    assert done.returncode == 0, done.stderr
    rows = {row["tool"]: row for row in json.loads(done.stdout)}
    assert set(rows) == {"benchwright", *RIVALS}
    # What this harness sees in one launch is at most suspect.
    assert {name: row["found"]["3.0"] for name, row in rows.items()} == dict.fromkeys(RIVALS, 1) | {"benchwright": 0}


def test_a_tool_that_does_not_run_is_an_error_of_the_harness(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "pyperf.py").write_text("raise SystemExit('broken here')\n")
    path = filter(None, (str(place), os.environ.get("PYTHONPATH", "")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    with pytest.raises(HarnessError, match=r"^pyperf_script\.py ended with 1: broken here$"):
        RIVALS["pyperf"].measure(PLAN, (), 0.0, 0.2)
