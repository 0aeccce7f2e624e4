"""Speeds relative to the baseline along an axis whose values are no numbers, and over all of these together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.efficiency import CONTENDED
from harness.analysis.ratio import average_ratios
from harness.core.metric import format_number
from harness.core.trial import OK, SKIPPED, group_trials
from harness.formats.cells import format_interval
from harness.report.axis_lines import describe_rest
from harness.report.figure import name_series
from harness.report.study import format_axis_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd

    from harness.core.run import Run
    from harness.core.trial import Trial
    from harness.report.study import Study

    # The trials of a run by group and implementation, and the groups whose cases took turns.
    _Trials = tuple[dict[tuple[str, str], list[Trial]], set[str]]

_FEWEST = 2


@dataclass(frozen=True)
class Speed:
    """What an implementation comes to in a row: its speed relative to the baseline, or why there is none.

    Attributes:
        row: the value of the axis and the rest of the point, or the mean over all values.
        series: the implementation and its machine.
        name: of the series.
        cases: their numbers in the study; several of a mean.
        baseline: what it is relative to.
        doubts: the warnings on its times, or on the baseline's, that cores were not free.
        reason: why it has no speed.
        skipped: whether it was not to run at all.
    """

    row: str
    series: tuple[str, str]
    name: str
    cases: tuple[int, ...]
    baseline: str
    median: float = math.nan
    ci_low: float = math.nan
    ci_high: float = math.nan
    doubts: tuple[str, ...] = ()
    reason: str = ""
    skipped: bool = False

    @property
    def known(self) -> bool:
        """Whether it has a speed."""
        return math.isfinite(self.median)

    @property
    def text(self) -> str:
        """The speed with its interval, in parentheses where cores were not free."""
        reach = f" {format_interval(self.ci_high / self.median)}" if math.isfinite(self.ci_high) else ""
        said = f"{format_number(self.median)}{reach}"
        return f"({said})" if self.doubts else said


def compare_speeds(study: Study, axis: str) -> list[Speed]:
    """Return what each implementation comes to at each value of an axis, and over all where it has a speed at each.

    Rows are in the order of the axis; the mean over its values, weighted alike, follows those that it is of.
    """
    cases = study.cases[study.cases["params"].map(lambda params: params.get(axis) in study.axes[axis])]
    cases = cases.assign(
        value=[params.get(axis) for params in cases["params"]],
        rest=[describe_rest(study, params, axis) for params in cases["params"]],
    )
    trials = {run.id: _trials(run) for run in study.runs}
    found = list[Speed]()
    for (_, _, run), setting in cases.groupby(["workload", "rest", "run"], sort=False):
        if setting["group"].nunique() >= _FEWEST:
            found += _of_setting(study, axis, setting, trials[str(run)])
    rows = {speed.row: None for speed in found if len(speed.cases) == 1}
    means = {speed.row: None for speed in found if len(speed.cases) > 1}
    order = {row: place for place, row in enumerate([*rows, *means])}
    return sorted(found, key=lambda speed: order[speed.row])


def _trials(run: Run) -> _Trials:
    ended, cases = group_trials(run.trials), [(group, one.case) for group in run.groups for one in group.cases]
    found = {(group.id, case.implementation): ended[case] for group, case in cases}
    return found, {group.id for group in run.groups if group.interleaved}


def _of_setting(study: Study, axis: str, setting: pd.DataFrame, trials: _Trials) -> Iterator[Speed]:
    """Yield the speeds of cases of one run that differ in the implementation and the axis alone, value by value."""
    several = study.cases["workload"].nunique() > 1
    rest = _joined(setting["workload"].iloc[0] if several else "", setting["rest"].iloc[0])
    flags = {(row.group, row.implementation): set(row.flags.split(", ")) & CONTENDED for row in setting.itertuples()}
    ours = setting[setting["implementation"] != setting["baseline"]]
    values = [value for value in study.axes[axis] if value in set(setting["value"])]
    for value in values:
        for row in ours[ours["value"] == value].itertuples():
            doubts = flags[row.group, row.implementation] | flags.get((row.group, row.baseline), set())
            yield _speed(study, row, _joined(format_axis_value(value), rest), doubts)
    for _, mine in ours.groupby("implementation", sort=False):
        if len(mine) == len(values):
            yield from _mean(study, mine, _joined(f"geometric mean of {len(values)}", rest), flags, trials)


def _joined(*parts: str) -> str:
    return " · ".join(filter(None, parts))


def _speed(study: Study, row: Any, name: str, doubts: set[str]) -> Speed:
    who = (name, (row.implementation, row.machine), name_series(study, row), (int(row.Index),), row.baseline)
    if row.ratio > 0:
        return Speed(*who, 1 / row.ratio, 1 / row.ratio_high, 1 / row.ratio_low, tuple(sorted(doubts)))
    reason = str(row.status) if row.status != OK else f"no time of {row.baseline} beside it"
    return Speed(*who, reason=reason, skipped=row.status == SKIPPED)


def _mean(
    study: Study, mine: pd.DataFrame, name: str, flags: Mapping[tuple[str, str], set[str]], trials: _Trials
) -> Iterator[Speed]:
    """Yield the mean over all values; nothing where there is no speed at one of them."""
    first = next(mine.itertuples())
    keys = [((row.group, row.implementation), (row.group, row.baseline)) for row in mine.itertuples()]
    found, interleaved = trials
    ratio = average_ratios([(found[one], found[base]) for one, base in keys], paired=set(mine["group"]) <= interleaved)
    doubts = {flag for pair in keys for key in pair for flag in flags.get(key, set())}
    if ratio:
        who = (name, (first.implementation, first.machine), name_series(study, first))
        ends = (1 / ratio.value, 1 / ratio.ci_high, 1 / ratio.ci_low)
        yield Speed(*who, tuple(map(int, mine.index)), first.baseline, *ends, tuple(sorted(doubts)))
