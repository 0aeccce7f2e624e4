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

if TYPE_CHECKING:
    from pathlib import Path

    from harness.core.case import Group

_SAMPLE = [field.name for field in fields(Sample)]


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
        rows = pq.read_table(folder / schema.TRIALS).to_pylist()
        samples = pq.read_table(folder / schema.SAMPLES).to_pylist()
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{folder}: a table cannot be read: {error}") from None
    trials = {
        (row["case"], row["launch"]): Trial(
            **{key: value for key, value in row.items() if key != "run_id"} | {"case": cases[row["case"]]}
        )
        for row in rows
    }
    for row in samples:
        sample = Sample(**{name: row[name] for name in _SAMPLE if name in row})
        trials[row["case"], row["launch"]].samples.append(sample)
    return list(trials.values())
