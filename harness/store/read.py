"""Reads a run back, also one that was killed: the journal where there is one, the tables where not."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core.errors import UsageError
from harness.core.run import Run
from harness.core.trial import Sample, Status, Trial
from harness.store import schema
from harness.store.description import read_description
from harness.store.journal import read_journal
from harness.store.place import open_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.core.case import Case

_SAMPLE = [field.name for field in fields(Sample)]
_TRIAL = [field.name for field in fields(Trial) if field.name != "samples"]


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        UsageError: there is no run, it is damaged, or it was written by a newer version.
    """
    description = read_description(folder)
    if (folder / schema.JOURNAL).exists():
        return Run(folder, *read_journal(folder, description))
    return Run(folder, description, tuple(_read_tables(folder, description.cases)))


def _read_tables(folder: Path, planned: Iterable[Case]) -> list[Trial]:
    cases = {case.id: case for case in planned}
    try:
        rows = _columns(folder / schema.TRIALS, _TRIAL)
        samples = _columns(folder / schema.SAMPLES, ("case", "launch", *_SAMPLE))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{folder}: a table cannot be read: {error}") from None
    trials = {}
    try:
        for row in zip(*rows.values(), strict=True):
            values = dict(zip(rows, row, strict=True))
            trials[values["case"], values["launch"]] = Trial(
                **{**values, "case": cases[values["case"]], "status": Status(values["status"])}
            )
        # By position, for there may be a million: what an older version does not have comes last in a sample.
        for case, launch, *rest in zip(*samples.values(), strict=True):
            trials[case, launch].samples.append(Sample(*rest))
    except KeyError as missing:
        raise UsageError(f"{folder}: a table has {missing}, which the run does not") from None
    except ValueError as unknown:
        raise UsageError(f"{folder}/{schema.TRIALS}: {unknown}") from None
    return list(trials.values())


def _columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the columns that a table has of those that are wanted."""
    with pq.ParquetFile(open_table(path)) as file:
        table = file.read(columns=[name for name in names if name in file.schema_arrow.names])
        return {name: table.column(name).to_pylist() for name in names if name in table.column_names}
