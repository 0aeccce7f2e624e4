"""Reads a run back, also one that was killed: the journal where there is one, the tables where not."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core.case import group_from_json
from harness.core.environment import environment_from_json
from harness.core.errors import UsageError
from harness.core.run import Run
from harness.core.suite import Policy
from harness.core.trial import Sample, Trial, trial_from_json
from harness.store import schema
from harness.store.place import table_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness.core.case import Group

_SAMPLE = [field.name for field in fields(Sample)]
_TRIAL = [field.name for field in fields(Trial) if field.name != "samples"]


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        UsageError: there is no run, or it was written by a newer version.
    """
    try:
        meta = json.loads((folder / schema.RUN).read_text())
        version = meta["schema_version"]
        if version > schema.VERSION:
            raise UsageError(f"{folder} was written by a newer version (schema {version}, not {schema.VERSION})")
        groups = tuple(group_from_json(group) for group in meta["plan"])
        policy, environment = Policy(**meta["policy"]), environment_from_json(meta["environment"])
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(f"{folder} is not a run folder: it has no readable {schema.RUN}") from None
    if (folder / schema.JOURNAL).exists():
        trials = _read_journal(folder, meta)
    else:
        trials = _read_tables(folder, groups)
    return Run(folder, meta, groups, policy, environment, tuple(trials))


def _read_journal(folder: Path, meta: dict[str, Any]) -> list[Trial]:
    """Read every whole line of the journal, launches and rests into the run's description; the last may be torn."""
    meta["launches"], meta["rests"], trials = [], [], []
    for line in (folder / schema.JOURNAL).read_text().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if "trial" in event:
            trials.append(trial_from_json(event["trial"]))
        elif "rest" in event:
            meta["rests"].append(event["rest"])
        else:
            meta["launches"].append(event["launch"])
    return trials


def _read_tables(folder: Path, groups: tuple[Group, ...]) -> list[Trial]:
    cases = {planned.case.id: planned.case for group in groups for planned in group.cases}
    try:
        rows = _columns(folder / schema.TRIALS, _TRIAL)
        samples = _columns(folder / schema.SAMPLES, ("case", "launch", *_SAMPLE))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{folder}: a table cannot be read: {error}") from None
    trials = {}
    try:
        for row in zip(*rows.values(), strict=True):
            values = dict(zip(rows, row, strict=True))
            trials[values["case"], values["launch"]] = Trial(**{**values, "case": cases[values["case"]]})
        # By position, for there may be a million: what an older version does not have comes last in a sample.
        for case, launch, *rest in zip(*samples.values(), strict=True):
            trials[case, launch].samples.append(Sample(*rest))
    except KeyError as missing:
        raise UsageError(f"{folder}: a table has {missing}, which the run does not") from None
    return list(trials.values())


def _columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    """Return the columns that a table has of those that are wanted."""
    with pq.ParquetFile(table_source(path)) as file:
        table = file.read(columns=[name for name in names if name in file.schema_arrow.names])
        return {name: table.column(name).to_pylist() for name in names if name in table.column_names}
