"""Metrics that a workload brings: declared and not, read where the workload is not there, and an instrument's typo."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.core.metric import Metric
from harness.store.measured_run import read_measured_run
from harness.store.read import read_run

Bench = Callable[..., subprocess.CompletedProcess[str]]
PLUG_IN = '''
from __future__ import annotations
import torch
from harness import Axis, Check, Metric, Reference, Workload, implementation

kept = Metric("kept", "B", "higher", "bytes that are kept", margin=0.1, label="kept bytes")
axes = (Axis.integer("n", 8, "Rows."),)
work = Workload("work", "Copy.", axes, lambda p, d, g: torch.ones(p["n"]), Reference, "copies", metrics=(kept,),
                check=lambda output, truth: Check({"kept": 4096.0, "strays": 2.0}))

@implementation("work")
def copies(x):
    """Copy."""
    return lambda: x.clone()

@implementation("work")
def mistypes(x):
    """Copy, under an instrument that does not know what its number is called."""
    import harness.launch.worker.case_worker as worker
    worker.has_phases, worker.measure_phases = lambda names: True, lambda step, ranks: {"fowrard_time": 1.0}
    return lambda: x.clone()
'''


@pytest.fixture
def ran(place: Path, bench: Bench) -> subprocess.CompletedProcess[str]:
    (place / "mine.py").write_text(PLUG_IN)
    done = bench("run", "work", "--load", "mine.py", "--launches", "1", "--budget", "0.1s")
    (place / "mine.py").unlink()
    return done


def test_a_workload_brings_metrics_and_an_instrument_that_mistypes_one_fails(
    ran: subprocess.CompletedProcess[str], place: Path, bench: Bench
) -> None:
    assert ran.returncode == 1, ran.stderr
    assert "executed: UsageError: unknown metric 'fowrard_time'; did you mean 'forward_time'?" in ran.stdout
    (head,) = [line for line in ran.stdout.splitlines() if "implementation" in line]
    assert "kept bytes" in head
    assert "strays" not in head
    assert ran.stdout.count("work: its check reports strays without a declaration") == 1

    shown = bench("show", "--json")
    copies = next(row for row in json.loads(shown.stdout)["groups"][0]["rows"] if row["implementation"] == "copies")
    assert (copies["metrics"]["kept"]["median"], copies["metrics"]["kept"]["unit"]) == (4096.0, "B")
    assert (copies["metrics"]["strays"]["median"], copies["metrics"]["strays"]["unit"]) == (2.0, "1")
    assert "4.00 KiB" in bench("show").stdout

    (folder,) = (place / "results").iterdir()
    kept = Metric("kept", "B", "higher", "bytes that are kept", margin=0.1, label="kept bytes")
    assert read_run(folder).metrics == {"work": {"kept": kept}}
    assert {row.metric: row.unit for row in read_measured_run(folder).measurements}["kept"] == "B"
    listed = bench("results", "show", "--metric", "kept", "--json")
    assert {row["unit"] for row in json.loads(listed.stdout)["rows"]} == {"B"}
