"""Writes a run: its folder first, each trial as it ends, the tables last."""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from harness.core.case import group_to_json
from harness.core.environment import environment_to_json
from harness.core.errors import HarnessError, UsageError
from harness.core.metric import declared_from_json, declared_to_json
from harness.core.run import COMPLETE, RUNNING
from harness.core.trial import Launch, Rest, Trial, trial_to_json, utc_now
from harness.store import schema
from harness.store.place import require_local
from harness.store.rows import measurement_table, sample_table, trial_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    import pyarrow as pa

    from harness.core.case import Group
    from harness.core.ceilings import Ceilings
    from harness.core.environment import Environment
    from harness.core.measurement import Measurement
    from harness.core.metric import Declared
    from harness.core.run import Run
    from harness.core.suite import Policy


def new_run_id(selection: str) -> str:
    """Return a name for a run: when, what, and a few digits that no other run has."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", selection).strip("-.")[:60]
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}-{uuid.uuid4().hex[:6]}"


def create_run(
    results: Path,
    run_id: str,
    groups: Iterable[Group],
    policy: Policy,
    environment: Environment,
    *,
    command: Iterable[str],
    sources: Iterable[str],
    tags: Mapping[str, str],
    revision: Mapping[str, Any] | None = None,
    ceilings: Ceilings | None = None,
    metrics: Declared | None = None,
) -> Path:
    """Create the folder of a run, with its plan and environment, before anything is measured.

    ``metrics`` are those that its workloads declare, so that a reader without the workloads knows them.

    Raises:
        UsageError: the results folder cannot be written to.
    """
    folder = results / run_id
    meta = {
        "schema_version": schema.VERSION,
        "run_id": run_id,
        "state": RUNNING,
        "started_at": utc_now(),
        "command": list(command),
        "tags": dict(tags),
        "revision": dict(revision or {}),
        "sources": list(sources),
        "seed": policy.seed,
        "policy": asdict(policy),
        "plan": [group_to_json(group) for group in groups],
        "environment": environment_to_json(environment),
        "ceilings": asdict(ceilings) if ceilings else None,
        "metrics": declared_to_json(metrics or {}),
        "launches": [],
        "rests": [],
    }
    try:
        folder.mkdir(parents=True)
        _replace(folder / schema.RUN, json.dumps(meta, indent=1).encode())
        (folder / schema.JOURNAL).touch()
    except OSError as error:
        raise UsageError(f"cannot write to {results}: {error.strerror}") from None
    return folder


def reopen(run: Run, groups: Iterable[Group]) -> None:
    """Let a run go on by another plan of the same cases.

    Raises:
        UsageError: the run lies where it can only be read.
        HarnessError: the disk is full or gone.
    """
    require_local(run.folder)
    events: list[dict[str, Any]] = [{"launch": launch} for launch in run.meta["launches"]]
    events += [{"rest": rest} for rest in run.meta.get("rests", ())]
    events += [{"trial": trial_to_json(trial)} for trial in run.trials]
    meta = {**run.meta, "plan": [group_to_json(group) for group in groups], "state": RUNNING}
    try:
        _replace(run.folder / schema.JOURNAL, "".join("\n" + json.dumps(event) for event in events).encode())
        _replace(run.folder / schema.RUN, json.dumps(meta, indent=1).encode())
    except OSError as error:
        raise HarnessError(f"cannot write to {run.folder}: {error.strerror}") from None


def append(folder: Path, event: Launch | Rest | Trial) -> None:
    """Add a launch, a rest or a finished trial to the journal; once this returns, it survives the end of this process.

    Raises:
        HarnessError: the disk is full or gone.
    """
    kind = type(event).__name__.lower()
    line = {kind: trial_to_json(event) if isinstance(event, Trial) else asdict(event)}
    try:
        with (folder / schema.JOURNAL).open("a") as journal:
            journal.write("\n" + json.dumps(line))  # a torn last line stays a line of its own
            journal.flush()
            os.fsync(journal.fileno())
    except OSError as error:
        raise HarnessError(f"cannot write to {folder}: {error.strerror}; earlier trials are kept") from None


def write_tables(
    folder: Path,
    meta: Mapping[str, Any],
    trials: Iterable[Trial],
    measurements: Iterable[Measurement],
    state: str,
) -> None:
    """Write the tables and the run's state; the journal of a complete run is then no longer needed.

    Raises:
        HarnessError: the disk is full or gone; the journal stays.
    """
    trials = list(trials)
    run_id = meta["run_id"]
    try:
        _write(folder / schema.SAMPLES, sample_table(run_id, trials, declared_from_json(meta.get("metrics", {}))))
        _write(folder / schema.TRIALS, trial_table(run_id, trials))
        _write(folder / schema.MEASUREMENTS, measurement_table(run_id, measurements))
        ended = {**meta, "state": state, "ended_at": utc_now()}
        _replace(folder / schema.RUN, json.dumps(ended, indent=1).encode())
        if state == COMPLETE:
            (folder / schema.JOURNAL).unlink()
    except OSError as error:
        raise HarnessError(f"cannot write to {folder}: {error.strerror}; the journal there is whole") from None


def _write(path: Path, table: pa.Table) -> None:
    """Write a table under another name first: a reader sees a whole file or none."""
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)
