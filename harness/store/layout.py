"""The form of a run folder, versioned: names of files and columns, without what it takes to read them.

Version 1: ``run.json`` (plan, policy, environment, launches, state), ``trials.parquet``, ``samples.parquet`` and
``measurements.parquet``, one observation a row. Until a run is complete, ``journal.jsonl`` holds every launch and
trial as it came, and is what a reader believes.

Version 2: ``run.json`` says of which revision a run is (``revision``, empty for a plain run), how many launches a case
was given where that is more than the policy's (``launches`` in the plan), and the power at rest (``rests``). Samples
say how they were come by (``provenance``) and how sure the instrument is (``uncertainty``); measurements, the former.
Trials say which operators and kernels ran (``executed``). Version 1 is read as having none of it. A run whose mode is
``compiled`` is of kernels that were compiled and not run: its cases are kernels, and its environment is the compiler's.
Since then ``run.json`` has the metrics that workloads declare (``metrics``, by workload); without them, a value that is
of no metric of the harness is a plain number.

A merged folder holds the same three tables of many runs, and ``runs.parquet`` with the ``run.json`` of each.
"""

from __future__ import annotations

from harness.core.run_description import SCHEMA_VERSION

VERSION = SCHEMA_VERSION
RUN, JOURNAL = "run.json", "journal.jsonl"
TRIALS, SAMPLES, MEASUREMENTS = "trials.parquet", "samples.parquet", "measurements.parquet"
RUNS = "runs.parquet"
TABLES = (SAMPLES, TRIALS, MEASUREMENTS)

_CASE = dict.fromkeys(("run_id", "case", "group", "workload", "implementation", "params"), str)

# The columns of each table, in order, and what they hold: text, whole numbers of 32 bits, or floating-point numbers.
COLUMNS: dict[str, dict[str, type]] = {
    SAMPLES: {
        **_CASE,
        "launch": int,
        "round": int,
        "index": int,
        "metric": str,
        "unit": str,
        "value": float,
        "flags": str,
        "uncertainty": float,
        "provenance": str,
    },
    MEASUREMENTS: {
        **_CASE,
        "metric": str,
        "unit": str,
        "n": int,
        "launches": int,
        "median": float,
        "ci_low": float,
        "ci_high": float,
        "flags": str,
        "provenance": str,
    },
    TRIALS: {
        "run_id": str,
        "case": str,
        "launch": int,
        "status": str,
        "message": str,
        "started_at": str,
        "duration_s": float,
        "log": str,
        "executed": str,
    },
    RUNS: {"run_id": str, "folder": str, "run": str},
}

# What version 2 added, and what version 1 is read as having there.
ADDED: dict[str, dict[str, str | float]] = {
    SAMPLES: {"uncertainty": 0.0, "provenance": ""},
    MEASUREMENTS: {"provenance": ""},
    TRIALS: {"executed": ""},
    RUNS: {},
}
