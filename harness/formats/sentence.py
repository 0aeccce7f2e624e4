"""Comparisons in a sentence, the same wherever it is said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.core.metric import PRIMARY, format_value, three_digits

if TYPE_CHECKING:
    from harness.analysis.compare import Report
    from harness.core.comparison import Comparison


def sentence(row: Comparison) -> str:
    """Say what came of a comparison: ``time slower: 1.00 ms -> 1.05 ms, x1.050 (1.041 to 1.059)``, and why."""
    said = f"{row.metric or 'case'} {row.verdict}"
    if not math.isnan(row.base):
        unit = row.kind.unit
        said += f": {format_value(row.base, unit)} -> {format_value(row.new, unit)}"
    if not math.isnan(row.ratio):
        said += f", x{row.ratio:.3f}"
    if math.isfinite(row.ci_high):
        said += f" ({row.ci_low:.3f} to {row.ci_high:.3f})"
    return f"{said}; {row.note}" if row.note else said


def summary_line(report: Report) -> str:
    """Write how many verdicts there are of each kind, the geometric mean of the ratios, and the worst of them."""
    counts: dict[str, int] = {}
    for row in report.rows:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    parts = [", ".join(f"{count} {verdict}" for verdict, count in counts.items())]
    if report.ratios:
        parts.append(f"time, geometric mean {three_digits(report.geometric_mean)}")
        worst = max((row for row in report.rows if row.metric == PRIMARY and row.ratio > 0), key=lambda row: row.ratio)
        parts.append(f"at worst {three_digits(worst.ratio)} ({worst.case.id})")
    return "; ".join(parts)
