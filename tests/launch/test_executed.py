"""What a step really ran, against what its implementation says and what torch was set to."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.store.read import read_run

PLUG_IN = '''
from __future__ import annotations
import torch
from harness import Axis, Reference, Workload, implementation

axes = (Axis.integer("n", 64, "Rows."),)
work = Workload("work", "Multiply.", axes, lambda p, d, g: torch.randn(p["n"], p["n"], generator=g),
                lambda x: Reference(x.double() @ x.double(), torch.float32, 1e-3), "honest")

@implementation("work", executes="aten::mm")
def honest(x):
    """Multiply."""
    return lambda: x @ x

@implementation("work", executes="aten::bmm")
def another(x):
    """Say bmm, and run mm."""
    return lambda: x @ x

@implementation("work")
def changes(x):
    """Lower the precision of every product that follows."""
    torch.set_float32_matmul_precision("high")
    return lambda: x.clone() @ x
'''


def test_a_request_that_was_not_honoured_and_settings_that_changed_are_flags(
    place: Path, bench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (place / "mine.py").write_text(PLUG_IN)
    done = bench("run", "work", "--load", "mine.py", "--launches", "1", "--budget", "0.2s", "--json")
    assert done.returncode == 0, done.stderr
    (group,) = json.loads(done.stdout)["groups"]
    told = {"not_as_requested", "settings_changed"}
    flags = {row["implementation"]: told & set(row["flags"]) for row in group["rows"]}
    assert flags == {"honest": set(), "another": {"not_as_requested"}, "changes": {"settings_changed"}}
    (folder,) = (place / "results").iterdir()
    run = read_run(folder)
    names = {trial.case.implementation: trial.executed.split(",") for trial in run.trials}
    assert "aten::mm" in names["honest"]
    assert "aten::clone" in names["changes"]
    assert run.description.launches[0].runtime["matmul_precision"] == "highest"
