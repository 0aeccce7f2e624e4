"""Reads of a run what a history needs: milliseconds, where the samples would take seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from harness.core.errors import UsageError
from harness.core.measurement import Measurement
from harness.core.metric import METRICS, find_recorded_metric
from harness.core.run import MeasuredRun
from harness.store.description import read_description
from harness.store.layout import MEASUREMENTS
from harness.store.place import open_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from harness.core.case import Case
    from harness.core.metric import Declared

_COLUMNS = ["case", "metric", "n", "launches", "median", "ci_low", "ci_high", "flags"]


def read_measured_runs(folders: Iterable[Path]) -> tuple[list[MeasuredRun], list[str]]:
    """Return runs, each once where it is also kept as a baseline, and why others cannot be read, in a line each."""
    runs, left_out = dict[str, MeasuredRun](), list[str]()
    for folder in folders:
        try:
            run = read_measured_run(folder)
        except UsageError as error:
            left_out.append(str(error))
        else:
            runs.setdefault(run.description.id, run)
    return list(runs.values()), left_out


def read_measured_run(folder: Path) -> MeasuredRun:
    """Read the measurements of a complete run, and where they come from.

    Raises:
        UsageError: there is no run, or it is damaged, incomplete, of a newer version, or was made slower on purpose.
    """
    description = read_description(folder)
    if not description.complete:
        raise UsageError(f"{folder} is not complete: it is {description.state}")
    if description.slowed:
        raise UsageError(f"{folder} was made slower on purpose")
    cases = {case.id: case for case in description.cases}
    try:
        return MeasuredRun(folder, description, tuple(_measurements(folder, cases, description.metrics or {})))
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{folder} cannot be read: {error}") from None
    except KeyError as missing:
        raise UsageError(f"{folder}: a table has {missing}, which the run does not") from None
    except (ValueError, TypeError, AttributeError):
        raise UsageError(f"{folder}/{MEASUREMENTS} does not have the columns of a run") from None


def _measurements(folder: Path, cases: dict[str, Case], declared: Declared) -> Iterator[Measurement]:
    for row in pq.ParquetFile(open_table(folder / MEASUREMENTS)).read(columns=_COLUMNS).to_pylist():
        case, flags = cases[row["case"]], tuple(filter(None, row["flags"].split(",")))
        own = None if row["metric"] in METRICS else find_recorded_metric(row["metric"], declared.get(case.workload, {}))
        yield Measurement(**{**row, "case": case, "flags": flags, "own": own})
