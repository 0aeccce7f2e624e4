"""Tells which Parquet files are the tables that they are named for, by their footers alone."""

from __future__ import annotations

import os
from collections import defaultdict
from typing import TYPE_CHECKING

import duckdb

from harness.store.duck import SQL_TYPES, open_database, quote_paths
from harness.store.layout import ADDED, COLUMNS, VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_MAGIC = b"PAR1"
# The mark at both ends of a file, and the length of its footer.
_LEAST = 12
# What a row of `parquet_schema` says of a column: its name and type.
_Columns = frozenset[tuple[str, str | None]]


def read_versions(files: Sequence[Path]) -> dict[Path, int | str]:
    """Return the version of the form that each file has, or in words why it has none; one foreign file harms no other.

    DuckDB takes the form of many files from the first and fails at the first that is damaged, hence the look ahead.
    """
    whole: list[Path] = []
    found: dict[Path, int | str] = {}
    for file in files:
        if fault := _fault(file):
            found[file] = fault
        else:
            whole.append(file)
    columns = _columns(whole)
    return found | {file: _version(file.name, columns[file]) for file in whole}


def _fault(file: Path) -> str:
    """Return why a file can be no Parquet file; it may be cut short."""
    try:
        with file.open("rb") as content:
            start = content.read(len(_MAGIC))
            if content.seek(0, os.SEEK_END) < _LEAST:
                return f"{file.name} is no whole Parquet file"
            content.seek(-len(_MAGIC), os.SEEK_END)
            whole = start == content.read() == _MAGIC
    except OSError as error:
        return f"{file.name} cannot be read: {error.strerror}"
    return "" if whole else f"{file.name} is no whole Parquet file"


def _columns(files: Sequence[Path]) -> dict[Path, _Columns | str]:
    """Return the columns of each file, all at once where that goes, or in words why there are none."""
    if not files:
        return {}
    try:
        with open_database() as duck:
            query = "select file_name, name, duckdb_type from parquet_schema($files)"
            once = list(dict.fromkeys(quote_paths(files)))  # a file may have been named in two ways
            rows = duck.execute(query, {"files": once}).fetchall()
    except duckdb.Error:
        if len(files) == 1:
            return {files[0]: f"{files[0].name} is no whole Parquet file"}
        return {name: columns for file in files for name, columns in _columns([file]).items()}
    by_name = defaultdict[str, list[tuple[str, str | None]]](list)
    for file_name, name, kind in rows:
        by_name[file_name].append((name, kind))
    # The first row of a file stands for the whole of its columns.
    return {file: frozenset(by_name[str(file.absolute())][1:]) for file in files}


def _version(table: str, found: _Columns | str) -> int | str:
    if isinstance(found, str):
        return found
    form = {(name, SQL_TYPES[kind]) for name, kind in COLUMNS[table].items()}
    if found == form:
        return VERSION
    if found == {(name, kind) for name, kind in form if name not in ADDED[table]}:
        return 1
    return f"{table} does not have the columns of a run"
