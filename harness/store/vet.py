"""Looks through a run folder that came from elsewhere, before anything else reads it: its form, its size, its names."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core.case import Case
from harness.core.errors import UsageError
from harness.core.run import COMPLETE, INTERRUPTED, RUNNING
from harness.store.layout import ADDED, JOURNAL, RUN, TABLES
from harness.store.read import read_run
from harness.store.schema import FORMS

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.run import Run

# What a table may hold: more than any run of a day, and little enough to be read.
MOST_ROWS = 4_000_000
MOST_BYTES = 1 << 30
# What every version has in a run's description, and of which type.
_META = {
    "schema_version": int,
    "run_id": str,
    "state": str,
    "started_at": str,
    "command": list,
    "tags": dict,
    "sources": list,
    "policy": dict,
    "plan": list,
    "environment": dict,
    "launches": list,
}
# The types of fields, by their annotation: those that can be wrong when they come from JSON.
_TYPES: dict[str, Any] = {
    "str": str,
    "int": int | float,
    "float": int | float,
    "bool": bool,
    "int | None": int | float | None,
    "float | None": int | float | None,
    "bool | None": bool | None,
    "Direction | None": str | None,
    "dict[str, str]": dict,
    "Mapping[str, float]": dict,
}


def vet(folder: Path) -> None:
    """Refuse a folder that is not a whole run of a form that is known.

    Raises:
        UsageError: why it is refused; the message names the run by its folder's name.
    """
    complete = _check_description(folder)
    there = {path.name for path in folder.iterdir()}
    if complete == (JOURNAL in there) or (complete and not there.issuperset(TABLES)):
        names = ", ".join(sorted(there))
        raise UsageError(f"{folder.name} is no whole run: it is {'' if complete else 'not '}complete, and has {names}")
    for name in sorted(there.intersection(TABLES)):
        _check_table(folder / name)
    try:
        _check_run(read_run(folder), journal=JOURNAL in there)
    except UsageError as error:
        raise UsageError(str(error).replace(str(folder), folder.name)) from None
    except MemoryError:
        raise
    except Exception as error:  # whatever reading it ends in, it is no run
        raise UsageError(f"{folder.name} reads as no run: {type(error).__name__}") from None


def _check_run(run: Run, *, journal: bool) -> None:
    """Check that what was read is of the types that others take it for; tables have theirs by their columns."""
    declared = [metric for metrics in run.metrics.values() for metric in metrics.values()]
    _check_types((run.policy, run.environment, run.groups, run.context, declared, run.trials if journal else ()))
    _ = run.environment.packages["torch"]
    device, _, index = run.policy.device.partition(":")
    _ = run.environment.gpus[int(index)] if device == "cuda" else device


def _check_types(thing: Any) -> None:
    """Check the fields of a dataclass, and of all that is in them."""
    if isinstance(thing, tuple | list):
        for item in thing:
            _check_types(item)
    elif is_dataclass(thing):
        if isinstance(thing, Case):
            hash(thing)  # a point holds values of several types, but no lists
        for field in fields(thing):
            value = getattr(thing, field.name)
            if not isinstance(value, _TYPES.get(str(field.type), object)):
                raise TypeError(f"{type(thing).__name__}.{field.name}")
            _check_types(value)


def _check_description(folder: Path) -> bool:
    """Check what a run says of itself, as far as others rely on it; return whether it says that it is complete."""
    try:
        meta = json.loads((folder / RUN).read_bytes())
    except (OSError, ValueError, RecursionError):
        raise UsageError(f"{folder.name}/{RUN} is no JSON") from None
    if not isinstance(meta, dict):
        raise UsageError(f"{folder.name}/{RUN} is no description of a run")
    for key, kind in _META.items():
        if type(meta.get(key)) is not kind:
            raise UsageError(f"{folder.name}/{RUN}: '{key}' is missing or of another type")
    if meta["run_id"] != folder.name:
        raise UsageError(f"{folder.name}/{RUN} is of another run: {meta['run_id'][:80]!r}")
    if meta["state"] not in (RUNNING, INTERRUPTED, COMPLETE):
        raise UsageError(f"{folder.name}/{RUN}: unknown state {meta['state'][:80]!r}")
    _check_side(folder.name, meta.get("revision") or {})
    return bool(meta["state"] == COMPLETE)


def _check_side(name: str, revision: Any) -> None:
    """Check the name under which the other sides of a run are looked for: it must be the start of its own."""
    if revision and not (isinstance(revision, dict) and name == f"{revision.get('together')}-{revision.get('role')}"):
        raise UsageError(f"{name}/{RUN}: it is no side of the run that it names")


def _check_table(path: Path) -> None:
    """Check a table: by its footer that it has exactly the columns of a form and is not too large, then whole."""
    name = f"{path.parent.name}/{path.name}"
    try:
        with pq.ParquetFile(path) as file:
            found, footer = file.schema_arrow, file.metadata
            sizes = [footer.row_group(index).total_byte_size for index in range(footer.num_row_groups)]
    except (OSError, ValueError, pa.ArrowException):
        raise UsageError(f"{name} is no Parquet file") from None
    form = FORMS[path.name]
    earlier = pa.schema([field for field in form if field.name not in ADDED[path.name]])
    if not (found.equals(form) or found.equals(earlier)):
        raise UsageError(f"{name} does not have the columns of a run")
    if not (0 <= footer.num_rows <= MOST_ROWS and min(sizes, default=0) >= 0 and sum(sizes) <= MOST_BYTES):
        raise UsageError(f"{name} unpacks to more than {MOST_ROWS} rows or {MOST_BYTES >> 20} MiB")
    try:
        table = pq.read_table(path, use_threads=False)
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, MemoryError):
            raise
        raise UsageError(f"{name} is damaged") from None
    if table["run_id"].unique().to_pylist() not in ([], [path.parent.name]):
        raise UsageError(f"{name} has rows of another run")
    if any(column.null_count for column in table.columns):
        raise UsageError(f"{name} has gaps")
