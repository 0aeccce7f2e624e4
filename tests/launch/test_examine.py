"""What a workload examines beyond its check: a fault found there is a fault of the case.

That it does so once a run is in ``test_trials``.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from harness.store.read import read_run

PLUG_IN = '''
from __future__ import annotations
import os
import torch
from harness import Axis, Check, Reference, Workload, implementation

def examine(output, truth):
    with open("examined", "a") as file:
        print(os.getpid(), output.sum().item() == truth.value.sum().item(), file=file)
    curve = [3.0, 2.0, 1.0]
    return Check({"curve_loss": 1.0, "loss_curve": curve}, "" if output.is_contiguous() else "is not contiguous")

axes = (Axis.integer("n", 8, "Rows."),)
work = Workload("work", "Copy.", axes, lambda p, d, g: torch.ones(p["n"], 2), Reference, "copies", examine=examine)

@implementation("work")
def copies(x):
    """Copy."""
    return lambda: x.clone()

@implementation("work")
def transposes(x):
    """Give the same numbers in another order."""
    return lambda: x.mT.contiguous().mT
'''


def test_a_workload_examines_each_case_once_and_rejects_what_it_finds(
    place: Path, bench: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    (place / "mine.py").write_text(PLUG_IN)
    done = bench("run", "work", "--load", "mine.py", "--launches", "1", "--budget", "0.1s", "--json")
    assert done.returncode == 1, done.stderr
    (group,) = json.loads(done.stdout)["groups"]
    rows = {row["implementation"]: row for row in group["rows"]}
    assert {name: row["status"] for name, row in rows.items()} == {"copies": "ok", "transposes": "incorrect"}
    assert rows["transposes"]["message"] == "is not contiguous"
    seen = [line.split() for line in (place / "examined").read_text().splitlines()]
    assert [right for _, right in seen] == ["True", "True"]
    assert len({process for process, _ in seen}) == 2

    (folder,) = (place / "results").iterdir()
    samples = [s for t in read_run(folder).trials if t.case.implementation == "copies" for s in t.samples]
    assert [(s.index, s.value) for s in samples if s.metric == "loss_curve"] == [(0, 3.0), (1, 2.0), (2, 1.0)]
    assert rows["copies"]["metrics"]["curve_loss"]["median"] == 1.0
    assert "loss_curve" not in rows["copies"]["metrics"]
