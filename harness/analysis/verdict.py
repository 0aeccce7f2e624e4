"""From what the data say to what may be said: verdicts over all comparisons of two runs at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from scipy.stats import false_discovery_control

from harness.analysis.interval import exponentiate_log
from harness.core.comparison import EQUIVALENT, IMPROVEMENTS, INCONCLUSIVE, SUSPECT, Comparison, name_direction
from harness.core.metric import find_metric, format_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.interval import Interval
    from harness.core.case import Case
    from harness.core.comparison import Verdict
    from harness.core.measurement import Measurement
    from harness.core.metric import Metric
    from harness.core.rules import Limit

# With fewer launches on a side it is hardly known how much launches differ, and no verdict stands.
_LEAST_LAUNCHES = 3


@dataclass(frozen=True)
class Contrast:
    """A case and metric before the verdict.

    Attributes:
        base, new: the two values, in the metric's unit.
        found: the logarithm of their ratio.
        limit: the change that matters to nobody.
        launches: of the side that has fewer.
        note: what the data should be read with.
        own: the metric, where it is the workload's and not the harness's.
    """

    case: Case
    metric: str
    base: float
    new: float
    found: Interval
    limit: Limit
    launches: int
    note: str = ""
    own: Metric | None = None

    @property
    def kind(self) -> Metric:
        """What the two values mean."""
        return self.own or find_metric(self.metric)


def judge_comparisons(contrasts: Sequence[Contrast], fdr: float) -> list[Comparison]:
    """Return a verdict for each.

    A change is a verdict where its test holds at the false discovery rate over all that are judged together
    (Benjamini and Hochberg 1995), and its estimate lies beyond the margin. Two sides are equivalent where the whole
    interval lies within the margin: two one-sided tests. All else is inconclusive.

    Asking for an interval that lies beyond the margin altogether would find a change of 3 % at a margin of 1 % as
    rarely as one of 2 %, and would err no less where nothing changed: tests/benchmarks/verdicts.py has the figures.
    """
    chances = [one.found.p for one in contrasts]
    known = [p for p in chances if not math.isnan(p)]
    corrected = iter(false_discovery_control(known).tolist() if known else ())
    rows = []
    for one, p in zip(contrasts, chances, strict=True):
        q = math.nan if math.isnan(p) else float(next(corrected))
        verdict, why = _verdict(one, q, fdr)
        rows.append(_row(one, verdict, "; ".join(filter(None, (why, one.note))), p, q))
    return rows


def judge_exact(base: Measurement, new: Measurement, limit: Limit) -> Comparison:
    """Return the verdict on a metric that is the same each time: a change is whatever exceeds the limit."""
    ratio = new.median / base.median if base.median else math.nan
    row = Comparison(new.case, new.metric, EQUIVALENT, base.median, new.median, ratio=ratio, own=new.own)
    if math.isnan(row.base) or math.isnan(row.new):
        return replace(row, verdict=INCONCLUSIVE, note="not a number")
    if not limit.exceeded(row.base, row.new):
        return row
    return replace(row, verdict=name_direction(new.kind, row.new - row.base))


def _verdict(one: Contrast, q: float, fdr: float) -> tuple[Verdict, str]:
    found, limit = one.found, one.limit
    if math.isnan(found.centre):
        return INCONCLUSIVE, "no value of one side is above zero"
    beyond = limit.exceeded(one.base, one.base * exponentiate_log(found.centre))
    if one.launches < _LEAST_LAUNCHES:
        advice = f"{_launches(one.launches)}; a verdict needs {_LEAST_LAUNCHES}"
        return (SUSPECT, advice) if beyond and q <= fdr else (INCONCLUSIVE, advice)
    if beyond and q <= fdr:
        return name_direction(one.kind, found.centre), ""
    ends = (one.base * exponentiate_log(end) for end in (found.low, found.high))
    if not any(math.isnan(end) or limit.exceeded(one.base, end) for end in ends):
        return EQUIVALENT, ""
    return INCONCLUSIVE, _doubt(one, q)


def _harmless(one: Contrast) -> bool:
    """Return whether the end of the interval that is worse lies within what matters to nobody."""
    worse = one.found.high if one.kind.better == "lower" else one.found.low
    if math.isnan(worse) or one.launches < _LEAST_LAUNCHES:
        return False
    end = one.base * exponentiate_log(worse)
    return name_direction(one.kind, worse) in IMPROVEMENTS or not one.limit.exceeded(one.base, end)


def _doubt(one: Contrast, q: float) -> str:
    """Say what a verdict lacks."""
    low, high = exponentiate_log(one.found.low) - 1, exponentiate_log(one.found.high) - 1
    if low <= 0 <= high:
        return f"anything from {low:+.1%} to {high:+.1%}"
    if one.found.p <= 0.05 < q:
        return "a change among so many comparisons may be chance"
    floor = f" or {format_value(one.limit.floor, one.kind.unit)}" if one.limit.floor else ""
    return f"changed by {low:+.1%} to {high:+.1%}, which may be within the margin of {one.limit.margin:.1%}{floor}"


def _launches(count: int) -> str:
    return "one launch" if count == 1 else f"{count} launches"


def _row(one: Contrast, verdict: Verdict, note: str, p: float, q: float) -> Comparison:
    found = one.found
    return Comparison(
        one.case,
        one.metric,
        verdict,
        one.base,
        one.new,
        ratio=exponentiate_log(found.centre),
        ci_low=exponentiate_log(found.low),
        ci_high=exponentiate_log(found.high),
        detectable=exponentiate_log(found.detectable) - 1,
        p=p,
        q=q,
        harmless=_harmless(one),
        note=note,
        own=one.own,
    )
