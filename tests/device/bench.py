"""Runs ``bench`` from this tree, installed or not, and reads what it printed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.store.read import read_run

if TYPE_CHECKING:
    from report import Report

COMMAND = (sys.executable, "-c", "from harness.cli.main import main; main()")
OK = ("ok", "skipped")
Row = dict[str, Any]


def call(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command, whose messages go to the log, and return its exit code and what it printed."""
    return subprocess.run((*COMMAND, *words), stdout=subprocess.PIPE, text=True, check=False)


def run(report: Report, workload: str, *words: str) -> list[Row]:
    """Measure, keep the rows, and return them: one launch, no energy and 40 s a case unless the words say otherwise.

    A command without a result has no rows, and the step goes on.
    """
    usual = (
        *("--device", report.pick("cuda", "cpu"), "--launches", "1", "--energy-precision", "0"),
        *report.pick((), ("--threads", "1")),  # cores that others use too
        *("--timeout", report.pick("40s", "160s"), "--results", str(report.work / "results")),
    )
    done = call("run", workload, *usual, "--json", *words)
    if not done.stdout.startswith("{"):
        report.want(False, f"bench run {workload} {' '.join(words)} ended with {done.returncode} and no result")
        return []
    document = json.loads(done.stdout)
    told = read_run(Path(document["run"]))
    trials = [
        {"case": trial.case.id, "launch": trial.launch, "seconds": trial.duration_s, "executed": trial.executed}
        for trial in told.trials
    ]
    launches = [asdict(launch) for launch in told.description.launches]
    threads = {launch["runtime"]["os_threads"] for launch in launches}
    report.want(threads == {1}, f"{sorted(threads)} threads in a server that is forked from")
    report.keep_rows({"words": [workload, *words], **document, "launches": launches, "trials": trials})
    return [row for group in document["groups"] for row in group["rows"]]


def want_status(report: Report, rows: Collection[Row], allowed: Collection[str] = OK) -> None:
    """Expect every row to have one of these statuses, and the kernel that was asked for; say how many have."""
    good = 0
    for row in rows:
        requested = "not_as_requested" not in row["flags"]
        good += row["status"] in allowed and requested
        report.want(row["status"] in allowed, f"{row['case']} {row['status']}: {row['message']}"[:300])
        report.want(requested, f"{row['case']} not_as_requested")
    report.say(f"{good} of {len(rows)} rows as they should be")


def median(row: Row, metric: str) -> float:
    """Return the median of a metric, NaN if the row has none."""
    value = row["metrics"].get(metric, {}).get("median")
    return float("nan") if value is None else float(value)
