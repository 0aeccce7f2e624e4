"""The columns of a table of results: one list, from which the terminal, Markdown and the page take theirs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.efficiency import CONTENDED, EFFICIENCY
from harness.analysis.net_energy import GROSS
from harness.analysis.roof import SHARE
from harness.core.metric import METRICS, PRIMARY, Metric, find_metric, format_number, format_value
from harness.core.trial import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.analysis.rows import ResultRow
    from harness.core.measurement import Measurement
    from harness.core.metric import Declared

# What is an error of a case, in the order in which one is shown: of its output, else of its gradients.
ERRORS = ("max_abs_error", "grad_max_abs_error", "gradient_error")
# Rates of the same work: where there is little room, a case has the first that it knows.
_RATES = ("flops_per_s", "items_per_s", "bytes_per_s")


@dataclass(frozen=True)
class Column:
    """What a table shows of every case.

    Attributes:
        head: the label of its metric, or what its metrics have in common.
        metrics: of which each case shows the first that it has.
        write: the value as text, with its unit.
        interval: whether its interval is shown too.
        brief: whether it is in tables with little room, too.
    """

    head: str
    metrics: tuple[Metric, ...]
    write: Callable[[Measurement], str]
    interval: bool = False
    brief: bool = True

    def find(self, row: ResultRow, *, brief: bool = False) -> Measurement | None:
        """Return what a case has in this column, but no time of a case that failed, and no NaN that has its reason."""
        for metric in self.metrics:
            found = row.measurements.get(metric.name)
            if not found or (math.isnan(found.median) and found.provenance):
                continue
            failed = metric.name == PRIMARY and row.status != OK
            return None if failed or (brief and _is_second_rate(metric.name, row)) else found
        return None

    def explain(self, found: Sequence[Measurement | None]) -> str:
        """Return what the values in this column are, in a sentence for each of their metrics."""
        used = {one.metric for one in found if one}
        mine = [metric for metric in self.metrics if metric.name in used]
        return mine[0].help if len(self.metrics) == 1 else "; ".join(f"{one.label}: {one.help}" for one in mine)


def _value(found: Measurement) -> str:
    return format_value(found.median, found.unit)


def _digits(found: Measurement) -> str:
    return format_number(found.median)


def _count(found: Measurement) -> str:
    return format_value(found.median, "").strip()


def _percentage(found: Measurement) -> str:
    return f"{found.median:.0%}"


def _efficiency(found: Measurement) -> str:
    """Write how well ranks scale; in parentheses if cores were not free, so that it does not say so."""
    text = format_number(found.median)
    return f"({text})" if CONTENDED & set(found.flags) else text


def _own(found: Measurement) -> str:
    """Write a metric of the workload's: a plain number with three digits, unless it is whole."""
    return _digits(found) if found.unit == "1" and not found.median.is_integer() else _value(found)


def _column(
    *names: str,
    head: str = "",
    write: Callable[[Measurement], str] = _value,
    interval: bool = False,
    brief: bool = True,
) -> Column:
    metrics = tuple(map(find_metric, names))
    return Column(head or metrics[0].label, metrics, write, interval, brief)


TIME = _column(PRIMARY, interval=True)
COLUMNS = (
    TIME,
    _column("flops_per_s"),
    _column("items_per_s", write=_count),
    _column("bytes_per_s"),
    _column("tokens_per_step", write=_digits),
    _column("step_overhead", write=_digits, brief=False),
    _column("bus_bandwidth"),
    _column(EFFICIENCY, write=_efficiency),
    _column(SHARE, write=_percentage),
    _column("device_peak_allocated", "peak_memory", head="memory"),
    _column(GROSS, interval=True),
    _column(*ERRORS, head="error"),
    _column("loss", write=_digits),
)


def find_filled_columns(
    rows: Sequence[ResultRow], *, brief: bool = False
) -> Iterator[tuple[Column, list[Measurement | None]]]:
    """Yield the columns in which some case has a value, with what each case has there; a workload's own come last.

    Args:
        rows: the cases.
        brief: leave out what a table of 80 columns has no room for: second rates of the same work, and metrics of a
            workload of which no direction is better.
    """
    own = {name: found.own for row in rows for name, found in row.measurements.items() if found.own}
    added = (Column(metric.label, (metric,), _own, brief=metric.better is not None) for metric in own.values())
    for column in (*COLUMNS, *added):
        if column.brief or not brief:
            found = [column.find(row, brief=brief) for row in rows]
            if any(found):
                yield column, found


def find_undeclared_metrics(rows: Sequence[ResultRow], declared: Declared) -> Mapping[str, list[str]]:
    """Return by workload the names that its check reports and that neither it nor the harness declares as metrics."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        known = {*METRICS, *declared.get(row.case.workload, ())}
        strange = dict.fromkeys(name for name in row.measurements if name not in known)
        if strange:
            found[row.case.workload] = found.get(row.case.workload, {}) | strange
    return {workload: list(names) for workload, names in found.items()}


def _is_second_rate(metric: str, row: ResultRow) -> bool:
    return metric in _RATES and any(rate in row.measurements for rate in _RATES[: _RATES.index(metric)])
