"""Writes a run: its folder first, each trial as it ends, the tables last."""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import asdict, replace
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from harness.core.errors import HarnessError, UsageError
from harness.core.run_description import COMPLETE, RUNNING
from harness.core.trial import Launch, Rest, Trial, format_utc_now, write_trial
from harness.store import schema
from harness.store.place import require_local
from harness.store.rows import build_measurement_table, build_sample_table, build_trial_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import pyarrow as pa

    from harness.core.case import Group
    from harness.core.measurement import Measurement
    from harness.core.run import Run
    from harness.core.run_description import RunDescription, State


def make_run_id(selection: str) -> str:
    """Return a name for a run: when, what, and a few digits that no other run has."""
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", selection).strip("-.")[:60]
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}-{uuid.uuid4().hex[:6]}"


def create_run(results: Path, description: RunDescription) -> Path:
    """Create the folder of a run, with its plan and environment, before anything is measured; it starts now.

    ``metrics`` are those that its workloads declare, so that a reader without the workloads knows them.

    Raises:
        UsageError: the results folder cannot be written to.
    """
    folder = results / description.id
    try:
        folder.mkdir(parents=True)
        _describe(folder, replace(description, started_at=description.started_at or format_utc_now()))
        (folder / schema.JOURNAL).touch()
    except OSError as error:
        raise UsageError(f"cannot write to {results}: {error.strerror}") from None
    return folder


def reopen_run(run: Run, groups: Iterable[Group]) -> None:
    """Let a run go on by another plan of the same cases.

    Raises:
        UsageError: the run lies where it can only be read.
        HarnessError: the disk is full or gone.
    """
    require_local(run.folder)
    events: Iterator[Launch | Rest | Trial] = chain(run.description.launches, run.description.rests, run.trials)
    try:
        _replace(run.folder / schema.JOURNAL, "".join(map(_event, events)).encode())
        _describe(run.folder, replace(run.description, groups=tuple(groups), state=RUNNING))
    except OSError as error:
        raise HarnessError(f"cannot write to {run.folder}: {error.strerror}") from None


def append_event(folder: Path, event: Launch | Rest | Trial) -> None:
    """Add a launch, a rest or a finished trial to the journal; once this returns, it survives the end of this process.

    Raises:
        HarnessError: the disk is full or gone.
    """
    try:
        with (folder / schema.JOURNAL).open("a") as journal:
            journal.write(_event(event))
            journal.flush()
            os.fsync(journal.fileno())
    except OSError as error:
        raise HarnessError(f"cannot write to {folder}: {error.strerror}; earlier trials are kept") from None


def write_tables(run: Run, measurements: Iterable[Measurement], state: State) -> Run:
    """Write the tables and the run's state; the journal of a complete run is then no longer needed.

    Returns:
        The run as it now stands there.

    Raises:
        HarnessError: the disk is full or gone; the journal stays.
    """
    folder, ended = run.folder, replace(run.description, state=state, ended_at=format_utc_now())
    try:
        _write(folder / schema.SAMPLES, build_sample_table(run.id, run.trials, run.metrics))
        _write(folder / schema.TRIALS, build_trial_table(run.id, run.trials))
        _write(folder / schema.MEASUREMENTS, build_measurement_table(run.id, measurements))
        _describe(folder, ended)
        if state == COMPLETE:
            (folder / schema.JOURNAL).unlink()
    except OSError as error:
        raise HarnessError(f"cannot write to {folder}: {error.strerror}; the journal there is whole") from None
    return replace(run, description=ended)


def _event(event: Launch | Rest | Trial) -> str:
    """Return a line of the journal, after the end of the one before: that may be torn, and stays a line by itself."""
    kind = type(event).__name__.lower()
    return "\n" + json.dumps({kind: write_trial(event) if isinstance(event, Trial) else asdict(event)})


def _describe(folder: Path, description: RunDescription) -> None:
    _replace(folder / schema.RUN, json.dumps(description.to_json(), indent=1).encode())


def _write(path: Path, table: pa.Table) -> None:
    """Write a table under another name first: a reader sees a whole file or none."""
    partial = path.with_suffix(".partial")
    pq.write_table(table, partial, compression="zstd")
    partial.replace(path)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)
