"""Two runs held against each other: a verdict for every case and metric."""

from __future__ import annotations

import math
import re
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.conditions import find_differences
from harness.analysis.interval import Interval, exponentiate_log
from harness.analysis.measurements import find_relative_uncertainty, group_by_case
from harness.analysis.net_energy import UNAVAILABLE
from harness.analysis.ratio import estimate_launch_ratio, estimate_log_ratio
from harness.analysis.verdict import Contrast, judge_comparisons, judge_exact
from harness.core.comparison import (
    ADDED,
    BROKEN,
    FAILS,
    FIXED,
    MISSING,
    NOT_COMPARABLE,
    ONE_SIDED,
    UNMEASURED,
    Comparison,
)
from harness.core.metric import DERIVED, METRICS, PRIMARY
from harness.core.run import Context, were_interleaved
from harness.core.trial import ABSENT, OK, SKIPPED, group_trials

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from harness.core.case import Case
    from harness.core.measurement import Measurement
    from harness.core.rules import Rules
    from harness.core.run import Run
    from harness.core.trial import Status, Trial

_UNKNOWN = Interval(math.nan, math.nan, 0)
# What Python says where a module, or something that it needs, has not been built or installed.
_IMPORT = re.compile(r"\b(ImportError|ModuleNotFoundError): ")


@dataclass(frozen=True)
class RunComparison:
    """What came of a comparison.

    Attributes:
        differences: the conditions in which the runs differ, as ``name: base -> new``.
        rows: in the order of the new run's plan, then what only the base has.
    """

    base: Run
    new: Run
    differences: tuple[str, ...]
    rows: tuple[Comparison, ...]

    @property
    def compared(self) -> bool:
        """Whether any case was measured on both sides, or fails where the base did not."""
        return any(row.verdict not in ONE_SIDED for row in self.rows)

    @property
    def uncompared(self) -> tuple[Comparison, ...]:
        """The cases whose base was not measured; where nothing was compared, all but what is new."""
        if self.compared:
            return tuple(row for row in self.rows if row.verdict == UNMEASURED)
        return tuple(row for row in self.rows if row.verdict != ADDED)

    @property
    def ratios(self) -> list[float]:
        """The ratios of times, of the cases that have one."""
        return [row.ratio for row in self.rows if row.metric == PRIMARY and row.ratio > 0]

    @property
    def geometric_mean(self) -> float:
        """The geometric mean of the ratios of times; NaN where there is none."""
        return statistics.geometric_mean(self.ratios) if self.ratios else math.nan


@dataclass(frozen=True)
class _Side:
    """A case as one of the runs has it; ``planned`` says whether that run was to measure it."""

    trials: list[Trial]
    measurements: dict[str, Measurement]
    baseline: list[Trial]
    planned: bool = True

    @property
    def status(self) -> Status | None:
        """How the case ended; None where the run does not have it."""
        return next((one.status for one in self.trials if one.status != OK), OK) if self.trials else None

    @property
    def ran(self) -> bool:
        """Whether the case was tried."""
        return self.status not in (None, SKIPPED)

    @property
    def absent(self) -> bool:
        """Whether the side has no case of that name, as far as can be known: it would have been found."""
        return not self.planned or any(one.status == SKIPPED and one.message.startswith(ABSENT) for one in self.trials)

    @property
    def unimported(self) -> bool:
        """Whether the case failed since something did not import, which says nothing of the case."""
        return self.status not in (None, OK, SKIPPED) and bool(_IMPORT.search(self.message))

    @property
    def message(self) -> str:
        """The status, and the reason for it."""
        reasons = (f"{one.status}: {one.message}" for one in self.trials if one.status != OK)
        return next(reasons, "there is no trial of it")


_UNPLANNED = _Side([], {}, [], planned=False)
_NOTHING = _Side([], {}, [])


def compare_runs(
    base: Run, new: Run, rules: Rules, *, across: bool = False, despite: Collection[str] = ()
) -> RunComparison:
    """Judge every case and metric of two runs, new against base.

    Times are compared by launches and rounds, paired where both sides took turns; what is the same each time (memory,
    errors) by its value.

    Args:
        base: the side that ratios are taken to.
        new: the side that is judged.
        rules: margins, floors and the false discovery rate.
        across: compare each case's ratio to its baseline within its own run, which two machines can share.
        despite: names of conditions in which the runs may differ all the same.

    Raises:
        UsageError: a rule is of a metric that its workload does not have.
    """
    apart = tuple(line for line in find_differences(base, new) if line.partition(":")[0] not in despite)
    paired = were_interleaved(base, new)
    theirs_by, ours_by = _sides(base), _sides(new)
    # A base that measured nothing does not tell which cases it would have had.
    lacking = _UNPLANNED if any(side.status == OK for side in theirs_by.values()) else _NOTHING
    sides = {case: (theirs_by.get(case, lacking), ours_by.get(case, _UNPLANNED)) for case in {**ours_by, **theirs_by}}
    rules.check(sides, {**base.metrics, **new.metrics})
    judged: dict[Case, list[Comparison]] = {case: _of_status(case, *pair) for case, pair in sides.items()}
    contrasts: list[Contrast] = []
    for case, (theirs, ours) in sides.items():
        if judged[case] or not ours.trials:
            continue
        if across:
            contrasts += _within_machines(case, theirs, ours, rules)
        elif apart:
            judged[case] = [Comparison(case, "", NOT_COMPARABLE, note="; ".join(apart))]
        else:
            contrasts += _by_rounds(case, theirs, ours, rules, paired=paired)
            judged[case] = _by_value(case, theirs, ours, rules)
    for row in reversed(judge_comparisons(contrasts, rules.fdr)):
        judged[row.case].insert(0, row)
    return RunComparison(base, new, apart, tuple(row for rows in judged.values() for row in rows))


def _sides(run: Run) -> dict[Case, _Side]:
    """Return every planned case of a run, with its trials, its measurements and its group's baseline."""
    trials, measured = group_trials(run.trials), group_by_case(run.groups, run.trials, Context(metrics=run.metrics))
    sides = {}
    for group in run.groups:
        base = next((one.case for one in group.cases if one.case.implementation == group.baseline), None)
        for planned in group.cases:
            case = planned.case
            sides[case] = _Side(trials[case], measured[case], trials[base] if base else [])
    return sides


def _of_status(case: Case, base: _Side, new: _Side) -> list[Comparison]:
    """Return the verdict on a case that did not go well on both sides; none where it did, or ran on neither."""
    if not (base.ran or new.ran) or (base.status, new.status) == (OK, OK):
        return []
    if not new.ran:
        return [Comparison(case, "", MISSING, note=new.message)]
    if new.status != OK:
        failed = base.ran and base.status != OK and (new.unimported or not base.unimported)
        return [Comparison(case, "", BROKEN if failed else FAILS, note=new.message)]
    if base.absent:
        return [Comparison(case, "", ADDED, note=base.message if base.trials else "")]
    return [Comparison(case, "", FIXED if base.ran and not base.unimported else UNMEASURED, note=base.message)]


def _by_rounds(case: Case, base: _Side, new: _Side, rules: Rules, *, paired: bool) -> Iterator[Contrast]:
    for metric in _common(base, new):
        if not new.measurements[metric].kind.exact:
            found = estimate_log_ratio(new.trials, base.trials, metric, paired=paired)
            found = found or estimate_launch_ratio(new.trials, base.trials, metric) or _UNKNOWN
            stated = [find_relative_uncertainty(side.trials, metric) for side in (new, base)]
            found = found.widened(math.hypot(*stated))
            ours, theirs = new.measurements[metric], base.measurements[metric]
            launches = min(ours.launches, theirs.launches)
            limit = rules.limit(case.workload, ours.kind)
            flags = dict.fromkeys(ours.flags + theirs.flags)
            note = f"flagged: {', '.join(flags)}" if flags else ""
            yield Contrast(case, metric, theirs.median, ours.median, found, limit, launches, note, ours.own)


def _by_value(case: Case, base: _Side, new: _Side, rules: Rules) -> list[Comparison]:
    pairs = ((base.measurements[metric], new.measurements[metric]) for metric in _common(base, new))
    return [
        judge_exact(theirs, ours, rules.limit(case.workload, ours.kind)) for theirs, ours in pairs if ours.kind.exact
    ]


def _within_machines(case: Case, base: _Side, new: _Side, rules: Rules) -> Iterator[Contrast]:
    """Yield the case's time over its baseline's, on one machine against on the other."""
    if case == next((trial.case for trial in new.baseline), case):
        return
    theirs, ours = (estimate_log_ratio(side.trials, side.baseline, PRIMARY, paired=True) for side in (base, new))
    if theirs and ours:
        launches = min(len({trial.launch for trial in side.trials}) for side in (base, new))
        limit = rules.limit(case.workload, METRICS[PRIMARY])
        values = exponentiate_log(theirs.centre), exponentiate_log(ours.centre)
        yield Contrast(case, PRIMARY, *values, ours.minus(theirs), limit, launches, "of the time over its baseline's")


def _common(base: _Side, new: _Side) -> list[str]:
    """Return the metrics that both sides have, and that have a better direction and follow from no other."""
    return [
        metric
        for metric, found in new.measurements.items()
        if metric in base.measurements
        and found.kind.better
        and metric not in DERIVED
        and not any(side.measurements[metric].provenance.startswith(UNAVAILABLE) for side in (base, new))
    ]
