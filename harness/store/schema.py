"""The tables of a run folder in the types of Arrow; :mod:`harness.store.layout` has the form and its history."""

from __future__ import annotations

import pyarrow as pa

from harness.store.layout import COLUMNS, JOURNAL, MEASUREMENTS, RUN, RUNS, SAMPLES, TRIALS, VERSION

__all__ = [
    "FORMS",
    "JOURNAL",
    "MEASUREMENTS",
    "MEASUREMENTS_SCHEMA",
    "RUN",
    "RUNS_SCHEMA",
    "SAMPLES",
    "SAMPLES_SCHEMA",
    "TRIALS",
    "TRIALS_SCHEMA",
    "VERSION",
]

_TYPES = {str: pa.string(), int: pa.int32(), float: pa.float64()}

FORMS = {
    table: pa.schema([pa.field(name, _TYPES[kind]) for name, kind in columns.items()])
    for table, columns in COLUMNS.items()
}
SAMPLES_SCHEMA, MEASUREMENTS_SCHEMA, TRIALS_SCHEMA, RUNS_SCHEMA = (
    FORMS[table] for table in (SAMPLES, MEASUREMENTS, TRIALS, RUNS)
)
