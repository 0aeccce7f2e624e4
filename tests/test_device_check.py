"""The device check, as far as it needs no device: its table, its page, and that no step stops the next."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

HERE = Path(__file__).parent / "device"
PLANTED = """
import os
import time


def raises(report):
    raise ValueError("planted")


def hangs(report):
    report.say("before the hang")
    report.keep("kept", 1)
    time.sleep(600)


def dies(report):
    os.abort()


def misses(report):
    report.want(False, "a planted miss")


def holds(report):
    report.want(True, "never said")
    report.say("a figure")
    report.keep("kept", 2)
"""
RUN_PLANTED = """
import sys
import time
from pathlib import Path

from check import run_steps
from table import Step

names = sys.argv[3:]
steps = [Step(name, 1, 0.5 if name == "hangs" else 60, f"planted:{name}", "expected") for name in names]
run_steps(steps, Path(sys.argv[1]), "cpu", time.time() + float(sys.argv[2]))
"""


def load_table() -> ModuleType:
    """Return the module of the table, whose folder is on no path."""
    spec = importlib.util.spec_from_file_location("device_check_table", HERE / "table.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TABLE = load_table()


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "PYTHON": sys.executable, **variables}


def run_planted(folder: Path, seconds: float, *names: str) -> dict[str, list[str]]:
    """Run planted steps, and return the lines of steps.tsv by step."""
    (folder / "planted.py").write_text(PLANTED)
    path = os.pathsep.join((str(HERE), str(folder), str(HERE.parents[1])))
    command = (sys.executable, "-c", RUN_PLANTED, folder / "out", str(seconds), *names)
    subprocess.run(command, env=environment(PYTHONPATH=path), capture_output=True, timeout=120, check=True)
    return lines(folder / "out")


def lines(out: Path) -> dict[str, list[str]]:
    header, *rest = (line.split("\t") for line in (out / "steps.tsv").read_text().splitlines())
    assert header == ["step", "status", "seconds", "figure", "expected"]
    assert all(len(line) == len(header) for line in rest)
    return {line[0]: line for line in rest}


@pytest.mark.parametrize("call", [1, 2])
def test_the_limits_of_a_call_leave_room_for_its_end(call: int) -> None:
    limits = [step.limit_s for step in TABLE.steps_of(call)]
    start_s = 4  # for unpacking the wheels
    assert limits
    assert start_s + sum(limits) + TABLE.BUNDLE.limit_s <= TABLE.CALL_S == 340


def test_the_page_has_every_step_with_its_limit_and_no_other() -> None:
    rows = [line.split("|") for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| `")]
    documented = [(row[1].strip(" `"), row[2].strip()) for row in rows if row[2].strip().endswith(" s")]
    assert documented == [(step.name, f"{step.limit_s} s") for step in TABLE.STEPS]


@pytest.mark.parametrize("step", [*TABLE.STEPS, TABLE.BUNDLE], ids=lambda step: step.name)
def test_a_step_has_its_function(step: Any) -> None:
    module, _, function = step.run.partition(":")
    tree = ast.parse((HERE / f"{module}.py").read_text())
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_no_step_stops_the_next(tmp_path: Path) -> None:
    found = run_planted(tmp_path, 100, "raises", "hangs", "dies", "misses", "holds")
    assert [(name, line[1]) for name, line in found.items()] == [
        ("raises", "failed"),
        ("hangs", "timeout"),
        ("dies", "failed"),
        ("misses", "off"),
        ("holds", "ok"),
        ("bundle", "ok"),
    ]
    assert found["raises"][3] == "ValueError: planted"
    assert found["hangs"][3] == "before the hang; killed after 2 s"
    assert found["misses"][3] == "OFF: a planted miss"
    assert found["holds"][3] == "a figure"
    assert json.loads((tmp_path / "out" / "figures.json").read_text()) == {"hangs": {"kept": 1}, "holds": {"kept": 2}}
    assert "ValueError: planted" in (tmp_path / "out" / "log.txt").read_text()


def test_what_there_is_no_time_for_says_so(tmp_path: Path) -> None:
    found = run_planted(tmp_path, 1, "holds")
    assert found["holds"][1:4] == ["skipped", "0.0", "no time left in this call"]


def test_the_cheapest_steps_are_rehearsed(tmp_path: Path) -> None:
    done = subprocess.run(
        (HERE / "run.sh", "again", "machine", "nvml"),
        env=environment(DEVICE="cpu", OUT=str(tmp_path), TMPDIR=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    found = lines(tmp_path)
    assert found["machine"][1] in ("ok", "off"), done.stdout + done.stderr  # off without gcc
    assert found["nvml"][1:4] == ["skipped", "0.0", "needs CUDA"]
    assert "torch" in (tmp_path / "env.txt").read_text()
    assert len(list(tmp_path.iterdir())) <= 8


def test_a_wrong_call_names_the_steps(tmp_path: Path) -> None:
    done = subprocess.run(
        (HERE / "run.sh", "again", "clocks"),
        env=environment(OUT=str(tmp_path)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "grid_forward" in done.stderr
    assert not list(tmp_path.iterdir())
