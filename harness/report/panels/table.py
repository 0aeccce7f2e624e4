"""All numbers.

A row for each case: medians, with 95 % intervals from the spread between launches. Rows can be sorted by their columns
and are filtered by the fields above; both downloads hold every metric of every case. The command measures a row
again, beside its baseline. Items are what a step works on: sequences, images, or tokens. What a pass with its guesses
costs is relative to a pass of one token.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.core.metric import format_value, metric_of, three_digits
from harness.core.trial import OK
from harness.formats.cells import spread
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from harness.report.study import Study

# The metrics of the table by the heads of their columns, the first that a case has; downloads have all of them.
_COLUMNS = {
    "time": ("time",),
    "throughput": ("flops_per_s",),
    "items/s": ("items_per_s",),
    "tokens a pass": ("tokens_per_step",),
    "cost of a pass": ("step_overhead",),
    "traffic": ("bytes_per_s",),
    "busbw": ("bus_bandwidth",),
    "of roof": ("roof_share",),
    "memory": ("device_peak_allocated", "peak_memory"),
    "energy": ("energy_gross",),
    "error": ("max_abs_error", "gradient_error"),
    "loss": ("loss",),
}
_WITH_INTERVAL = ("time", "energy")
_PLAIN = ("tokens a pass", "cost of a pass", "loss")
# A median, and the upper end of its interval.
_Value = tuple[float, float]


def draw(study: Study) -> Iterator[Html]:
    """Yield the table; a column in which no case has anything is left out."""
    found = {
        (row.case, row.metric): (row.median, row.ci_high)
        for row in study.measurements.itertuples()
        if math.isfinite(row.median)
    }
    columns = {head: [_first(found, number, names) for number in study.cases.index] for head, names in _COLUMNS.items()}
    shown = {head: values for head, values in columns.items() if any(values)}
    rows = [
        _row(row, {head: values[number] for head, values in shown.items()})
        for number, row in enumerate(study.cases.itertuples())
    ]
    yield Html("table.html", {"several": study.several, "heads": list(shown), "rows": rows})


def _first(found: Mapping[tuple[int, str], _Value], number: int, names: Iterable[str]) -> _Value | None:
    return next((found[number, name] for name in names if (number, name) in found), None)


def _row(row: Any, values: Mapping[str, _Value | None]) -> dict[str, Any]:
    cells = {head: _cell(head, value) for head, value in values.items()}
    if row.status != OK and "time" in cells:
        cells["time"] = ("", "")
    ratio = three_digits(row.ratio) if row.ratio > 0 else ""
    reach = f" {spread(row.ratio_high / row.ratio)}" if math.isfinite(row.ratio_high) else ""
    return {
        "number": row.Index,
        "machine": row.machine,
        "question": row.question,
        "implementation": row.implementation,
        "cells": list(cells.values()),
        "ratio": (ratio + reach, row.ratio if ratio else ""),
        "status": row.status,
        "flags": row.flags,
        "command": row.command,
    }


def _cell(head: str, value: _Value | None) -> tuple[str, float | str]:
    """Return what stands in a cell, and by what it is sorted."""
    if value is None:
        return "", ""
    median, high = value
    if head == "of roof":
        text = f"{median:.0%}"
    elif head == "items/s":
        text = format_value(median, "").strip()
    elif head in _PLAIN:
        text = three_digits(median)
    else:
        text = format_value(median, metric_of(_COLUMNS[head][0]).unit)
    reach = f" {spread(high / median)}" if head in _WITH_INTERVAL and math.isfinite(high) and median > 0 else ""
    return text + reach, median
