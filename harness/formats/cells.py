"""The cells of a result table, as text for people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.core.metric import format_number

if TYPE_CHECKING:
    from harness.analysis.columns import Column
    from harness.analysis.ratio import Ratio
    from harness.core.measurement import Measurement


def format_cell(column: Column, found: Measurement | None) -> str:
    """Write what a case has in a column, with the larger side of its interval if the column has that; else nothing."""
    if not found:
        return ""
    text = column.write(found)
    reaches = column.interval and math.isfinite(found.ci_high) and found.median > 0
    return f"{text} {format_interval(found.ci_high / found.median)}" if reaches else text


def format_ratio(found: Ratio | None) -> str:
    """Write a ratio with the larger side of its interval; empty where there is none."""
    if not found:
        return ""
    if not math.isfinite(found.ci_high):
        return format_number(found.value)
    return f"{format_number(found.value)} {format_interval(found.ci_high / found.value)}"


def format_interval(factor: float) -> str:
    """Write how far an interval reaches: ``±2.3%``, or as a factor to multiply and divide by where that passes 100."""
    percentage = 100 * (factor - 1)
    if percentage >= 100:
        return f"×÷{format_number(factor)}"  # noqa: RUF001
    return f"±{percentage:.1f}%" if percentage < 10 else f"±{percentage:.0f}%"
