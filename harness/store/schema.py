"""The form of a run folder, versioned.

Version 1: ``run.json`` (plan, policy, environment, launches, state), ``trials.parquet``, ``samples.parquet`` and
``measurements.parquet``, one observation a row. Until a run is complete, ``journal.jsonl`` holds every launch and
trial as it came, and is what a reader believes.

Version 2: ``run.json`` says of which revision a run is (``revision``, empty for a plain run), how many launches a case
was given where that is more than the policy's (``launches`` in the plan), and the power at rest (``rests``). Samples
say how they were come by (``provenance``) and how sure the instrument is (``uncertainty``); measurements, the former.
Trials say which operators and kernels ran (``executed``). Version 1 is read as having none of it. A run whose mode is
``compiled`` is of kernels that were compiled and not run: its cases are kernels, and its environment is the compiler's.
"""

from __future__ import annotations

import pyarrow as pa

VERSION = 2
RUN, JOURNAL = "run.json", "journal.jsonl"
TRIALS, SAMPLES, MEASUREMENTS = "trials.parquet", "samples.parquet", "measurements.parquet"

_CASE = [
    pa.field("run_id", pa.string()),
    pa.field("case", pa.string()),
    pa.field("group", pa.string()),
    pa.field("workload", pa.string()),
    pa.field("implementation", pa.string()),
    pa.field("params", pa.string()),
]

SAMPLES_SCHEMA = pa.schema(
    [
        *_CASE,
        pa.field("launch", pa.int32()),
        pa.field("round", pa.int32()),
        pa.field("index", pa.int32()),
        pa.field("metric", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("value", pa.float64()),
        pa.field("flags", pa.string()),
        pa.field("uncertainty", pa.float64()),
        pa.field("provenance", pa.string()),
    ]
)

MEASUREMENTS_SCHEMA = pa.schema(
    [
        *_CASE,
        pa.field("metric", pa.string()),
        pa.field("unit", pa.string()),
        pa.field("n", pa.int32()),
        pa.field("launches", pa.int32()),
        pa.field("median", pa.float64()),
        pa.field("ci_low", pa.float64()),
        pa.field("ci_high", pa.float64()),
        pa.field("flags", pa.string()),
        pa.field("provenance", pa.string()),
    ]
)

TRIALS_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string()),
        pa.field("case", pa.string()),
        pa.field("launch", pa.int32()),
        pa.field("status", pa.string()),
        pa.field("message", pa.string()),
        pa.field("started_at", pa.string()),
        pa.field("duration_s", pa.float64()),
        pa.field("log", pa.string()),
        pa.field("executed", pa.string()),
    ]
)
