"""Makes one folder of many runs: the same tables, each in one file."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core.errors import HarnessError, UsageError
from harness.store import schema
from harness.store.layout import RUNS, TABLES
from harness.store.query import VIEWS, open_views

if TYPE_CHECKING:
    from pathlib import Path

    from duckdb import DuckDBPyConnection

    from harness.store.gather import Sources

# Rows that lie together in a file: enough to be read fast, and few enough to be held in memory while they are written.
_ROWS = 1 << 17


def merge_runs(sources: Sources, target: Path) -> None:
    """Write the tables of all runs, and the description of each, into a new folder.

    Raises:
        UsageError: there is something of that name already.
        HarnessError: the disk is full or gone.
    """
    if target.exists() or target.is_symlink():
        raise UsageError(f"{target} is there already")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        with open_views(sources) as duck:
            for table in TABLES:
                _write(duck, table, partial / table)
        pq.write_table(_runs(sources), partial / RUNS, compression="zstd")
        partial.rename(target)
    except OSError as error:
        raise HarnessError(f"cannot write to {target}: {error.strerror}") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _write(duck: DuckDBPyConnection, table: str, file: Path) -> None:
    form = schema.FORMS[table]
    rows = duck.view(VIEWS[table]).project(", ".join(f'"{name}"' for name in form.names))
    with pq.ParquetWriter(file, form, compression="zstd") as writer:
        for batch in rows.to_arrow_reader(_ROWS):
            writer.write_table(pa.Table.from_batches([batch]).cast(form))


def _runs(sources: Sources) -> pa.Table:
    rows = [
        {"run_id": run.description.id, "folder": run.folder, "run": json.dumps(run.description.to_json())}
        for run in sources.runs
    ]
    return pa.Table.from_pylist(rows, schema=schema.RUNS_SCHEMA)
