"""Comparisons in a sentence, the same wherever it is said."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.core.metric import PRIMARY, format_number, format_value

if TYPE_CHECKING:
    from harness.analysis.compare import RunComparison
    from harness.core.comparison import Comparison


def describe_comparison(row: Comparison) -> str:
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


def summarize_verdicts(report: RunComparison) -> str:
    """Write how many verdicts there are of each kind, the geometric mean of the ratios, and the worst of them."""
    counts: dict[str, int] = {}
    for row in report.rows:
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    parts = [", ".join(f"{count} {verdict}" for verdict, count in counts.items())]
    if report.ratios:
        parts.append(f"time, geometric mean {format_number(report.geometric_mean)}")
        worst = max((row for row in report.rows if row.metric == PRIMARY and row.ratio > 0), key=lambda row: row.ratio)
        parts.append(f"at worst {format_number(worst.ratio)} ({worst.case.id})")
    return "; ".join(parts)
