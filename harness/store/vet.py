"""Looks through a run folder that came from elsewhere, before anything else reads it: its form, its size, its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core.errors import UsageError
from harness.core.field_types import check_fields
from harness.store.description import read_description
from harness.store.layout import ADDED, JOURNAL, RUN, TABLES
from harness.store.read import read_run
from harness.store.schema import FORMS

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.run import Run
    from harness.core.run_description import RunDescription

# What a table may hold: more than any run of a day, and little enough to be read.
MOST_ROWS = 4_000_000
MOST_BYTES = 1 << 30


def vet_run(folder: Path) -> None:
    """Refuse a folder that is not a whole run of a form that is known.

    Raises:
        UsageError: why it is refused; the message names the run by its folder's name.
    """
    description = read_description(folder, folder.name)
    _check_names(folder, description)
    complete, there = description.complete, {path.name for path in folder.iterdir()}
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


def _check_names(folder: Path, description: RunDescription) -> None:
    """Check the names under which others look for a run: its own, and that of the runs that it took turns with."""
    if description.id != folder.name:
        raise UsageError(f"{folder.name}/{RUN} is of another run: {description.id[:80]!r}")
    variant = description.variant
    if variant and folder.name != f"{variant.run_set}-{variant.role}":
        raise UsageError(f"{folder.name}/{RUN}: it is no side of the run that it names")


def _check_run(run: Run, *, journal: bool) -> None:
    """Check what others rely on beside that; tables have their types by their columns."""
    for trial in run.trials if journal else ():
        check_fields(trial)
    _ = run.environment.packages["torch"]
    device, _, index = run.policy.device.partition(":")
    _ = run.environment.gpus[int(index)] if device == "cuda" else device


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
