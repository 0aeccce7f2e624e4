"""Makes the tables of many runs three views that SQL can ask: samples, trials, measurements."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from harness.store.duck import SQL_TYPES, open_database, read_parquet_sql
from harness.store.layout import ADDED, COLUMNS, MEASUREMENTS, SAMPLES, TABLES, TRIALS, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from duckdb import DuckDBPyConnection, DuckDBPyRelation

    from harness.store.gather import Sources

VIEWS = {SAMPLES: "samples", TRIALS: "trials", MEASUREMENTS: "measurements"}


@contextlib.contextmanager
def open_views(sources: Sources) -> Iterator[DuckDBPyConnection]:
    """Yield a connection with a view for each table over all runs, in the newest form.

    A run that is not complete comes from its journal, and has no rows among the measurements.
    """
    with open_database() as duck:
        for table in TABLES:
            whole, *others = _parts(duck, sources, table)
            for part in others:
                whole = whole.union(part)
            whole.create_view(VIEWS[table])
        yield duck


def _parts(duck: DuckDBPyConnection, sources: Sources, table: str) -> Iterator[DuckDBPyRelation]:
    """Yield the rows of run folders by the version of their form, those of merged folders, and those of journals."""
    by_version: dict[int, list[Path]] = {}
    merged: dict[Path, list[str]] = {}
    for run in sources.runs:
        file = run.home / table
        if run.merged:
            merged.setdefault(file, []).append(run.description.id)
        elif run.trials is None:
            by_version.setdefault(sources.forms[file], []).append(file)
    for version, files in by_version.items():
        yield read_parquet_sql(duck, files).project(_columns(table, version))
    for number, (file, run_ids) in enumerate(merged.items()):
        duck.execute(f"create temp table merged_{VIEWS[table]}_{number} as select unnest($ids) as id", {"ids": run_ids})
        mine = read_parquet_sql(duck, [file]).project(_columns(table, VERSION))
        yield mine.filter(f"run_id in (select id from merged_{VIEWS[table]}_{number})")
    if any(run.trials is not None for run in sources.runs):
        yield from _journals(duck, sources, table)


def _journals(duck: DuckDBPyConnection, sources: Sources, table: str) -> Iterator[DuckDBPyRelation]:
    from harness.store.rows import build_measurement_table, build_sample_table, build_trial_table

    for number, run in enumerate(sources.runs):
        if run.trials is None:
            continue
        if table == MEASUREMENTS:
            rows = build_measurement_table(run.description.id, ())
        elif table == SAMPLES:
            rows = build_sample_table(run.description.id, run.trials, run.description.metrics or {})
        else:
            rows = build_trial_table(run.description.id, run.trials)
        name = f"journal_{VIEWS[table]}_{number}"
        duck.register(name, rows)  # unlike a relation, this keeps the rows alive as long as the view
        yield duck.table(name)


def _columns(table: str, version: int) -> str:
    """Return the columns of the newest form; what an older one does not have is a constant."""
    added = {} if version == VERSION else ADDED[table]
    return ", ".join(
        f'{added[name]!r}::{SQL_TYPES[kind]} as "{name}"' if name in added else f'"{name}"'
        for name, kind in COLUMNS[table].items()
    )
