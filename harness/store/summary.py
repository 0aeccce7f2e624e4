"""Reads of a run what a history needs: milliseconds, where the samples would take seconds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core.case import Case, case_from_json
from harness.core.environment import environment_from_json
from harness.core.errors import UsageError
from harness.core.measurement import Measurement
from harness.core.metric import METRICS, declared_from_json, recorded_metric
from harness.core.run import COMPLETE
from harness.core.suite import Policy
from harness.core.summary import RunSummary
from harness.store import schema
from harness.store.place import table_source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.core.metric import Declared

_COLUMNS = ["case", "metric", "n", "launches", "median", "ci_low", "ci_high", "flags"]


def summaries(folders: Iterable[Path]) -> Iterator[RunSummary | str]:
    """Yield the summary of each run, once where it is also kept as a baseline; or, in words, why there is none."""
    seen = set()
    for folder in folders:
        try:
            summary = read_summary(folder)
        except UsageError as error:
            yield str(error)
            continue
        if summary.run_id not in seen:
            seen.add(summary.run_id)
            yield summary


def read_summary(folder: Path) -> RunSummary:
    """Read the measurements of a complete run, and where they come from.

    Raises:
        UsageError: there is no run, or it is incomplete, of a newer version, or was made slower on purpose.
    """
    try:
        meta = json.loads((folder / schema.RUN).read_text())
        _check_usable(folder, meta)
        cases = {case.id: case for group in meta["plan"] for case in map(_case, group["cases"])}
        return RunSummary(
            meta["run_id"],
            folder,
            meta["started_at"],
            environment_from_json(meta["environment"]),
            Policy(**meta["policy"]),
            tuple(_measurements(folder, cases, declared_from_json(meta.get("metrics", {})))),
        )
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{folder} cannot be read: {error}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(f"{folder} holds no run in a form that is known") from None


def _check_usable(folder: Path, meta: dict[str, Any]) -> None:
    version, state = meta["schema_version"], meta["state"]
    if version > schema.VERSION:
        raise UsageError(f"{folder} was written by a newer version (schema {version}, not {schema.VERSION})")
    if state != COMPLETE:
        raise UsageError(f"{folder} is not complete: it is {state}")
    if meta.get("revision", {}).get("planted"):
        raise UsageError(f"{folder} was made slower on purpose")


def _case(planned: dict[str, Any]) -> Case:
    return case_from_json(planned["case"])


def _measurements(folder: Path, cases: dict[str, Case], declared: Declared) -> Iterator[Measurement]:
    for row in pq.ParquetFile(table_source(folder / schema.MEASUREMENTS)).read(columns=_COLUMNS).to_pylist():
        case, flags = cases[row["case"]], tuple(filter(None, row["flags"].split(",")))
        own = None if row["metric"] in METRICS else recorded_metric(row["metric"], declared.get(case.workload, {}))
        yield Measurement(**{**row, "case": case, "flags": flags, "own": own})
