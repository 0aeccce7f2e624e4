"""The cells of a result table, as text for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.core.metric import format_value, three_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.ratio import Ratio
    from harness.analysis.rows import Row
    from harness.core.measurement import Measurement

MEMORY = ("device_peak_allocated", "peak_memory")


def value(measurement: Measurement | None) -> str:
    """Write a median with its unit; empty where there is none."""
    return format_value(measurement.median, measurement.unit) if measurement else ""


def first_value(row: Row, metrics: Sequence[str]) -> str:
    """Write the first of some metrics that a case has."""
    return next((value(found) for name in metrics if (found := row.measurements.get(name))), "")


def timed(time: Measurement | None) -> str:
    """Write a time with the larger side of its interval, as a percentage of the median."""
    if not time or math.isnan(time.ci_high):
        return value(time)
    return f"{value(time)} {spread(time.ci_high / time.median)}"


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
