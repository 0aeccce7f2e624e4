"""JSON: a run as one document, without its raw samples."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.core.environment import write_environment
from harness.formats.exported import Exported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.rows import GroupTable, ResultRow
    from harness.core.run import Run
    from harness.core.trial import Trial

VERSION = 1
_ELSEWHERE = ("plan", "environment")


def write_document(run: Run, tables: Sequence[GroupTable]) -> Exported:
    """Return what a run was, where it was measured, and its rows by group."""
    document = {
        "format": "benchwright-run",
        "version": VERSION,
        "run": {key: value for key, value in run.description.to_json().items() if key not in _ELSEWHERE},
        "environment": write_environment(run.environment),
        "groups": [_group(run, table) for table in tables],
    }
    return Exported(dump_json(document))


def dump_json(document: Any) -> str:
    """Write a document; NaN and infinities, which JSON does not have, become null."""
    return json.dumps(replace_infinities(document), indent=1, allow_nan=False) + "\n"


def _group(run: Run, table: GroupTable) -> dict[str, Any]:
    return {
        "group": table.group.id,
        "baseline": table.group.baseline,
        "interleaved": table.group.interleaved,
        "rows": [_row(row, [trial for trial in run.trials if trial.case == row.case]) for row in table.rows],
    }


def _row(row: ResultRow, trials: Sequence[Trial]) -> dict[str, Any]:
    named = ("n", "launches", "median", "ci_low", "ci_high", "unit", "provenance")
    return {
        "case": row.case.id,
        "workload": row.case.workload,
        "implementation": row.case.implementation,
        "params": row.case.params,
        "status": row.status,
        "message": row.message,
        "flags": list(row.flags),
        "ratio": asdict(row.ratio) if row.ratio else None,
        "metrics": {
            name: {key: getattr(found, key) for key in named} | {"flags": list(found.flags)}
            for name, found in row.measurements.items()
        },
        "trials": [
            {
                key: getattr(trial, key)
                for key in ("launch", "status", "message", "started_at", "duration_s", "executed")
            }
            for trial in trials
        ],
    }


def replace_infinities(value: Any) -> Any:
    """Replace NaN and infinities by null, which JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: replace_infinities(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [replace_infinities(item) for item in value]
    return value
