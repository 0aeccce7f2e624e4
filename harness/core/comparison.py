"""Two measurements held against each other, and what may be said of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.core.metric import find_metric

if TYPE_CHECKING:
    from harness.core.case import Case
    from harness.core.metric import Metric


class Verdict(StrEnum):
    """What may be said of a comparison; from ``FAILS`` on, of a case as a whole."""

    FASTER = "faster"
    SLOWER = "slower"
    BETTER = "better"
    WORSE = "worse"
    EQUIVALENT = "equivalent"
    INCONCLUSIVE = "inconclusive"
    SUSPECT = "suspect"
    NOT_COMPARABLE = "not comparable"
    FAILS = "fails now"
    FIXED = "works now"
    BROKEN = "fails on both sides"
    MISSING = "missing"
    ADDED = "added"
    UNMEASURED = "base not measured"


FASTER, SLOWER, BETTER, WORSE = Verdict.FASTER, Verdict.SLOWER, Verdict.BETTER, Verdict.WORSE
EQUIVALENT, INCONCLUSIVE, SUSPECT = Verdict.EQUIVALENT, Verdict.INCONCLUSIVE, Verdict.SUSPECT
NOT_COMPARABLE, MISSING, ADDED = Verdict.NOT_COMPARABLE, Verdict.MISSING, Verdict.ADDED
FAILS, FIXED, BROKEN, UNMEASURED = Verdict.FAILS, Verdict.FIXED, Verdict.BROKEN, Verdict.UNMEASURED

REGRESSIONS = (SLOWER, WORSE, FAILS)
IMPROVEMENTS = (FASTER, BETTER, FIXED)
UNDECIDED = (INCONCLUSIVE, SUSPECT, NOT_COMPARABLE, MISSING, UNMEASURED)
# Where one side has no measurement to compare with.
ONE_SIDED = (FIXED, BROKEN, MISSING, ADDED, UNMEASURED)


@dataclass(frozen=True)
class Comparison:
    """What came of a case and metric: new over base, with its 95 % interval; NaN where there is none.

    Attributes:
        metric: empty for a verdict on the case as a whole.
        detectable: the smallest relative change that these data would have found in four of five tries.
        p: of the data, if both sides were equal.
        q: the same, raised for the number of comparisons (Benjamini-Hochberg).
        harmless: whether a change for the worse that matters is ruled out, be the verdict open or not.
        note: why, in words for the user.
        own: the metric, where it is the workload's and not the harness's.
    """

    case: Case
    metric: str
    verdict: Verdict
    base: float = math.nan
    new: float = math.nan
    ratio: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    detectable: float = math.nan
    p: float = math.nan
    q: float = math.nan
    harmless: bool = False
    note: str = ""
    own: Metric | None = None

    @property
    def kind(self) -> Metric:
        """What the two numbers mean; a verdict on the case as a whole has none."""
        return self.own or find_metric(self.metric)

    @property
    def regressed(self) -> bool:
        """Whether the new side is worse for certain."""
        return self.verdict in REGRESSIONS

    @property
    def undecided(self) -> bool:
        """Whether the data leave room for a change for the worse that matters."""
        return self.verdict in UNDECIDED and not self.harmless


def name_direction(metric: Metric, change: float) -> Verdict:
    """Return the word for a change of a metric: of a time, ``faster`` or ``slower``; else ``better`` or ``worse``."""
    improved = (change < 0) == (metric.better == "lower")
    if metric.unit == "s":
        return FASTER if improved else SLOWER
    return BETTER if improved else WORSE
