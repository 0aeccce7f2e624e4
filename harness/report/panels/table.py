"""All numbers.

A row for each case: medians, with 95 % intervals from the spread between launches. Rows can be sorted by their columns
and are filtered by the fields above; both downloads hold every metric of every case. Rest the mouse on the head of a
column, or on a flag, to read what it means. The command measures a row again, beside its baseline.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.analysis.columns import find_filled_columns
from harness.core.flag import explain_flag
from harness.formats.cells import format_cell, format_ratio
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.analysis.rows import ResultRow
    from harness.core.measurement import Measurement
    from harness.report.study import Study

    # What stands in a cell, and the number by which it is sorted; empty where there is none.
    Cell = tuple[str, float | str]


def draw_panel(study: Study) -> Iterator[Html]:
    """Yield the table; a column in which no case has anything is left out."""
    columns = list(find_filled_columns(study.rows))
    heads = [(column.head, column.explain(found)) for column, found in columns]
    cells = [[(format_cell(column, one), _order(one)) for one in found] for column, found in columns]
    rows = [
        _row(named, row, [column[number] for column in cells])
        for number, (named, row) in enumerate(zip(study.cases.itertuples(), study.rows, strict=True))
    ]
    yield Html("table.html", {"several": study.several, "heads": heads, "rows": rows})


def _order(found: Measurement | None) -> float | str:
    return found.median if found and math.isfinite(found.median) else ""


def _row(named: Any, row: ResultRow, cells: list[Cell]) -> dict[str, Any]:
    return {
        "number": named.Index,
        "machine": named.machine,
        "question": named.question,
        "implementation": row.case.implementation,
        "cells": cells,
        "ratio": (format_ratio(row.ratio), row.ratio.value if row.ratio else ""),
        "status": row.status,
        "flags": [(flag, explain_flag(flag)) for flag in row.flags],
        "command": named.command,
    }
