"""A comparison in a sentence, the same wherever it is said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.core.metric import format_value, metric_of

if TYPE_CHECKING:
    from harness.core.comparison import Comparison


def sentence(row: Comparison) -> str:
    """Say what came of a comparison: ``time slower: 1.00 ms -> 1.05 ms, x1.050 (1.041 to 1.059)``, and why."""
    said = f"{row.metric or 'case'} {row.verdict}"
    if not math.isnan(row.base):
        unit = metric_of(row.metric).unit
        said += f": {format_value(row.base, unit)} -> {format_value(row.new, unit)}"
    if not math.isnan(row.ratio):
        said += f", x{row.ratio:.3f}"
    if math.isfinite(row.ci_high):
        said += f" ({row.ci_low:.3f} to {row.ci_high:.3f})"
    return f"{said}; {row.note}" if row.note else said
