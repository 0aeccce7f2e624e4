"""CSV: one line for each case and metric, and one for each case without any.

The columns keep their names and order; new ones come last. Values are medians over all launches, in the unit of their
line; what is not known or not finite is empty. ``params`` is a JSON object. The ratio to the group's baseline stands on
the line of the time alone. Text is one line, and text that a spreadsheet would take for a formula has an apostrophe
before it.
"""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from harness.core.metric import PRIMARY
from harness.formats.exported import Exported

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.rows import GroupTable, ResultRow
    from harness.core.measurement import Measurement
    from harness.core.run import Run

COLUMNS = (
    *("run_id", "group", "case", "workload", "implementation", "params", "status", "message"),
    *("metric", "unit", "n", "launches", "median", "ci_low", "ci_high"),
    *("ratio", "ratio_ci_low", "ratio_ci_high", "flags", "provenance"),
)
# What spreadsheets take for the beginning of a formula, also in full width and after what they trim.
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def write_csv(run: Run, tables: Sequence[GroupTable]) -> Exported:
    """Return a run as CSV."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for table in tables:
        for row in table.rows:
            for line in _lines(run.id, row):
                writer.writerow({column: write_cell(value) for column, value in line.items()})
    return Exported(out.getvalue())


def _lines(run_id: str, row: ResultRow) -> Iterator[dict[str, Any]]:
    case = row.case
    named = {
        "run_id": run_id,
        "group": case.group,
        "case": case.id,
        "workload": case.workload,
        "implementation": case.implementation,
        "params": case.params_json,
        "status": row.status,
        "message": row.message,
    }
    for measurement in row.measurements.values():
        yield named | _values(measurement) | (_ratio(row) if measurement.metric == PRIMARY else {})
    if not row.measurements:
        yield named


def _values(found: Measurement) -> dict[str, Any]:
    return {
        "metric": found.metric,
        "unit": found.unit,
        "n": found.n,
        "launches": found.launches,
        "median": found.median,
        "ci_low": found.ci_low,
        "ci_high": found.ci_high,
        "flags": ",".join(found.flags),
        "provenance": found.provenance,
    }


def _ratio(row: ResultRow) -> dict[str, Any]:
    if not row.ratio:
        return {}
    return {"ratio": row.ratio.value, "ratio_ci_low": row.ratio.ci_low, "ratio_ci_high": row.ratio.ci_high}


def write_cell(value: Any) -> Any:
    """Return a value as it may stand in a file that a spreadsheet opens: finite or empty, on one line, no formula."""
    if isinstance(value, float):
        return value if math.isfinite(value) else ""
    if not isinstance(value, str):
        return value
    line = " ".join(value.replace("\0", " ").splitlines())
    return f"'{line}" if line.lstrip().startswith(_FORMULA) else line
