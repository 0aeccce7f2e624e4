"""Samples to measurements: one row for each case and metric, with an interval where the data allow one."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis.efficiency import compute_efficiencies
from harness.analysis.flags import find_flags
from harness.analysis.interval import estimate_mean, exponentiate_log
from harness.analysis.net_energy import derive_energies
from harness.analysis.pairing import compute_round_logs
from harness.analysis.roof import compute_roofline_share
from harness.core.case import Case
from harness.core.measurement import Measurement
from harness.core.metric import METRICS, PRIMARY, RATES, find_recorded_metric
from harness.core.run import Context
from harness.core.trial import OK, group_trials

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.core.case import Group, PlannedCase
    from harness.core.metric import Metric
    from harness.core.trial import Sample, Trial

EMPTY = Context()


def summarize_trials(groups: Iterable[Group], trials: Iterable[Trial], context: Context = EMPTY) -> list[Measurement]:
    """Return the measurements of every case, in the order of the plan.

    Args:
        groups: the plan.
        trials: what came of it.
        context: the power at rest, the roofs and the threads, which some numbers are relative to, and the metrics that
            workloads declare.

    Values of trials that failed are kept, since the error of a wrong answer is a finding; times among them are not.
    """
    groups, ended = tuple(groups), group_trials(trials)
    found = {
        planned.case: _of_case(planned, ended[planned.case], context) for group in groups for planned in group.cases
    }
    if context.policy:
        times = {row.case: row for rows in found.values() for row in rows if row.metric == PRIMARY}
        for row in compute_efficiencies(groups, ended, times, context.policy):
            found[row.case].append(row)
    return [row for rows in found.values() for row in rows]


def group_by_case(
    groups: Iterable[Group], trials: Iterable[Trial], context: Context = EMPTY
) -> defaultdict[Case, dict[str, Measurement]]:
    """Return the same by case and metric."""
    found = defaultdict[Case, dict[str, Measurement]](dict)
    for row in summarize_trials(groups, trials, context):
        found[row.case][row.metric] = row
    return found


def _of_case(planned: PlannedCase, trials: list[Trial], context: Context) -> list[Measurement]:
    observed: dict[str, list[tuple[Trial, Sample]]] = defaultdict(list)
    declared = context.metrics.get(planned.case.workload, {})
    for trial in trials:
        for sample in trial.samples:
            if _counts(trial, sample):
                observed[sample.metric].append((trial, sample))
    rows = [
        _of_metric(planned.case, metric, samples, trials)
        for metric, samples in ((find_recorded_metric(name, declared), samples) for name, samples in observed.items())
        if not metric.curve
    ]
    by_metric = {row.metric: row for row in rows}
    planned = _as_made(planned, by_metric.get("made_share"))
    if time := by_metric.get(PRIMARY):
        rows += [_rate(time, metric, amount) for metric, amount in _work(planned).items() if amount]
        if share := compute_roofline_share(planned, time, context.ceilings):
            rows.append(share)
            rows = [replace(row, flags=row.flags + share.flags) if row is time else row for row in rows]
    return rows + derive_energies(planned, by_metric, context.rests)


def _as_made(planned: PlannedCase, share: Measurement | None) -> PlannedCase:
    """Return a case that works on the items it made, where these are not all that it was asked for."""
    if not share:
        return planned
    return replace(planned, cost=replace(planned.cost, items=planned.cost.items * share.median))


def _of_metric(case: Case, metric: Metric, samples: list[tuple[Trial, Sample]], trials: list[Trial]) -> Measurement:
    values = [sample.value for _, sample in samples]
    launches = len({trial.launch for trial, _ in samples})
    median = statistics.median(values)
    reach = _reach(trials, metric)
    flags = dict.fromkeys(flag for _, sample in samples if sample.flags for flag in sample.flags.split(",") if flag)
    if metric.name == PRIMARY:
        flags |= dict.fromkeys(find_flags(trials))
    provenance = samples[0][1].provenance
    ends = median / reach, median * reach
    own = None if metric.name in METRICS else metric
    return Measurement(case, metric.name, len(values), launches, median, *ends, tuple(flags), provenance, own)


def _counts(trial: Trial, sample: Sample) -> bool:
    """Return whether a sample may be summarised: times of a case that failed, even at its end, may not."""
    return trial.status == OK or sample.round < 0


def find_relative_uncertainty(trials: Iterable[Trial], metric: str) -> float:
    """Return what the instrument states of a metric's values, relative to them, at worst; 0 where it states nothing."""
    stated = [
        sample.uncertainty / sample.value
        for trial in trials
        for sample in trial.samples
        if sample.metric == metric and sample.uncertainty > 0 and sample.value > 0
    ]
    return max(stated, default=0.0)


def _reach(trials: list[Trial], metric: Metric) -> float:
    """Return the factor that spans the 95 % interval about the median; NaN for what is not observed in rounds.

    What the instrument states is a bound that no number of launches makes smaller, and widens the interval.
    """
    logs = compute_round_logs(trials, metric.name)
    if not logs or metric.better is None:
        return math.nan
    half = estimate_mean([list(rounds.values()) for rounds in logs.values()]).half
    if stated := find_relative_uncertainty(trials, metric.name):
        half = math.hypot(0.0 if math.isnan(half) else half, stated)
    return exponentiate_log(half)


def _work(planned: PlannedCase) -> dict[str, float]:
    """Return the work of a step by the rate that it is counted for."""
    cost = planned.cost
    amounts = (cost.flops, planned.hardware_flops, cost.bytes, cost.items, cost.message_bytes, cost.bus_bytes)
    return dict(zip(RATES, amounts, strict=True))


def _rate(time: Measurement, metric: str, amount: float) -> Measurement:
    """Return work over time; a long time is a low rate, so the ends of the interval change places."""
    low, high = amount / time.ci_high, amount / time.ci_low
    return Measurement(time.case, metric, time.n, time.launches, amount / time.median, low, high, time.flags)
