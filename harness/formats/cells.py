"""The cells of a result table, as text for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.analysis.efficiency import CONTENDED, EFFICIENCY
from harness.core.metric import format_value, three_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.ratio import Ratio
    from harness.analysis.rows import Row
    from harness.core.measurement import Measurement

MEMORY = ("device_peak_allocated", "peak_memory")
ERRORS = ("max_abs_error", "grad_max_abs_error", "gradient_error")


def figures(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return what a table has of each case beside its time and what that is of the baseline's, by column."""
    return {
        "throughput": [value(row.measurements.get("flops_per_s")) for row in rows],
        "items/s": [items(row) for row in rows],
        "tokens a pass": [value(row.measurements.get("tokens_per_step")) for row in rows],
        "busbw": [value(row.measurements.get("bus_bandwidth")) for row in rows],
        "efficiency": [efficiency(row) for row in rows],
        "of roof": [of_roof(row) for row in rows],
        "memory": [first_value(row, MEMORY) for row in rows],
        "energy": [energy(row) for row in rows],
        "error": [first_value(row, ERRORS) for row in rows],
        "loss": [loss(row) for row in rows],
    }


def value(measurement: Measurement | None) -> str:
    """Write a median with its unit; empty where there is none."""
    return format_value(measurement.median, measurement.unit) if measurement else ""


def first_value(row: Row, metrics: Sequence[str]) -> str:
    """Write the first of some metrics that a case has."""
    return next((value(found) for name in metrics if (found := row.measurements.get(name))), "")


def with_interval(found: Measurement | None) -> str:
    """Write a median with the larger side of its interval, as a percentage of it."""
    if not found or math.isnan(found.ci_high):
        return value(found)
    return f"{value(found)} {spread(found.ci_high / found.median)}"


def items(row: Row) -> str:
    """Write what was worked on in a second, where operations are not counted."""
    found = row.measurements.get("items_per_s")
    return three_digits(found.median) if found and "flops_per_s" not in row.measurements else ""


def of_roof(row: Row) -> str:
    """Write the share of the measured roof that binds; empty where it is not known."""
    found = row.measurements.get("roof_share")
    return f"{found.median:.0%}" if found else ""


def efficiency(row: Row) -> str:
    """Write how well ranks scale; in parentheses where cores were not free, so that it does not say so."""
    found = row.measurements.get(EFFICIENCY)
    if not found:
        return ""
    return f"({three_digits(found.median)})" if CONTENDED & set(found.flags) else three_digits(found.median)


def loss(row: Row) -> str:
    """Write the loss that training came to; empty where nothing is trained."""
    found = row.measurements.get("loss")
    return three_digits(found.median) if found else ""


def energy(row: Row) -> str:
    """Write the energy of a step with its interval; empty where it was not measured."""
    found = row.measurements.get("energy_gross")
    return with_interval(found) if found and math.isfinite(found.median) else ""


def ratio(found: Ratio | None) -> str:
    """Write a ratio with the larger side of its interval; empty where there is none."""
    if not found:
        return ""
    if not math.isfinite(found.ci_high):
        return three_digits(found.value)
    return f"{three_digits(found.value)} {spread(found.ci_high / found.value)}"


def spread(factor: float) -> str:
    """Write how far an interval reaches: ``±2.3%``, or as a factor to multiply and divide by where that passes 100."""
    percentage = 100 * (factor - 1)
    if percentage >= 100:
        return f"×÷{three_digits(factor)}"  # noqa: RUF001
    return f"±{percentage:.1f}%" if percentage < 10 else f"±{percentage:.0f}%"
