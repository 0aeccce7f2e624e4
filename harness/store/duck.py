"""DuckDB, set up to read the files of this machine and nothing else."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from duckdb import DuckDBPyConnection, DuckDBPyRelation

SQL_TYPES = {str: "VARCHAR", int: "INTEGER", float: "DOUBLE"}


def open_database() -> DuckDBPyConnection:
    """Return a connection to a database in memory that never downloads anything."""
    return duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})


def quote_paths(files: Iterable[Path]) -> list[str]:
    """Return files by the names that DuckDB takes for them: it would read ``[`` and ``*`` in a name as a pattern."""
    return [glob.escape(str(file.absolute())) for file in files]


def read_parquet_sql(duck: DuckDBPyConnection, files: Iterable[Path]) -> DuckDBPyRelation:
    """Return the rows of files of one form; folders named ``key=value`` say nothing about them."""
    return duck.read_parquet(quote_paths(files), hive_partitioning=False, union_by_name=False)
