"""Cases on several machines: by what these are held against each other, and why a value is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.analysis.net_energy import UNAVAILABLE
from harness.core.metric import format_value
from harness.core.trial import OK
from harness.formats.cells import format_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.report.study import Study

# Of a message: more is in the list of failures.
_LONGEST = 160


@dataclass(frozen=True)
class Value:
    """A value of a case on a machine as a number and as text; where there is none, the reason.

    Attributes:
        reach: the ends of its 95 % interval, where that is known.
    """

    number: float = math.nan
    text: str = ""
    reason: str = ""
    reach: tuple[float, float] | None = None

    @property
    def known(self) -> bool:
        """Whether it was measured."""
        return math.isfinite(self.number)


@dataclass(frozen=True)
class MachineLine:
    """An implementation at one point, with the number of its case in each run; None where the run has no such case."""

    group: str
    question: str
    implementation: str
    cases: dict[str, int | None]


def match_lines(study: Study) -> list[MachineLine]:
    """Return a line for each implementation at each point that any of the runs has."""
    numbers = {(row.group, row.implementation, row.run): int(row.Index) for row in study.cases.itertuples()}
    order = {group: index for index, group in enumerate(dict.fromkeys(study.cases["group"]))}
    named = zip(study.cases["group"], study.cases["question"], study.cases["implementation"], strict=True)
    found = sorted(dict.fromkeys(named), key=lambda name: order[name[0]])
    return [
        MachineLine(group, question, name, {run.id: numbers.get((group, name, run.id)) for run in study.runs})
        for group, question, name in found
    ]


class Measures:
    """Reads of a case what machines are held against each other by."""

    def __init__(self, study: Study) -> None:
        self._cases = {int(row.Index): row for row in study.cases.itertuples()}
        self._found = {(row.case, row.metric): row for row in study.measurements.itertuples()}
        self._roofs = {run.id for run in study.runs if run.context.ceilings}

    def time(self, case: int | None) -> Value:
        """Return the time of a step."""
        if case is None:
            return Value(reason="not in this run")
        row, time = self._cases[case], self._row(case, "time")
        if row.status != OK or time is None:
            message = " ".join(row.message.split())[:_LONGEST]
            return Value(reason=f"{row.status}: {message}" if message else str(row.status))
        text = format_value(time.median, "s")
        if not (math.isfinite(time.ci_low) and math.isfinite(time.ci_high)):
            return Value(time.median, text)
        return Value(
            time.median, f"{text} {format_interval(time.ci_high / time.median)}", reach=(time.ci_low, time.ci_high)
        )

    def throughput(self, case: int | None) -> Value:
        """Return the operations of a second; steps of a second where the workload declares no operations."""
        time = self.time(case)
        if not time.known:
            return time
        work, unit = self._work(case)
        return _value(work / time.number, f"{unit}/s")

    def roof_share(self, case: int | None) -> Value:
        """Return the share of the roof that was measured on the case's machine."""
        time = self.time(case)
        if not time.known or case is None:
            return time
        if share := self._row(case, "roof_share"):
            return Value(share.median, f"{share.median:.0%}")
        row = self._cases[case]
        if row.run not in self._roofs:
            return Value(reason="the roofs of this machine were not measured")
        return Value(reason="no roof for this dtype" if row.flops else "no operations are declared")

    def per_watt(self, case: int | None) -> Value:
        """Return the operations, or the steps, of a second and watt, which are those of a joule."""
        energy = self.energy(case)
        if not energy.known:
            return energy
        work, unit = self._work(case)
        return _value(work / energy.number, f"{unit}/J")

    def energy(self, case: int | None) -> Value:
        """Return the gross energy of a step: as measured, or the mean power over the time."""
        time = self.time(case)
        if not time.known or case is None:
            return time
        gross, power = self._row(case, "energy_gross"), self._row(case, "power_mean")
        if gross is not None and math.isfinite(gross.median):
            return _value(gross.median, "J")
        if power is not None and math.isfinite(power.median):
            return _value(power.median * time.number, "J")
        said = gross.provenance.removeprefix(UNAVAILABLE).strip(": ") if gross is not None else ""
        return Value(reason=f"energy: {said[:_LONGEST]}" if said else "no energy in this run")

    def work(self, case: int) -> float:
        """Return the operations of a step; 0 where none are declared."""
        return float(self._cases[case].flops)

    def _work(self, case: int | None) -> tuple[float, str]:
        flops = self.work(case) if case is not None else 0.0
        return (flops, "FLOP") if flops > 0 else (1.0, "steps")

    def _row(self, case: int, metric: str) -> Any:
        return self._found.get((case, metric))


def find_best(values: list[Value], pick: Callable[..., Value]) -> Value | None:
    """Return the best of the values that are known; None where there are no two to choose from."""
    known = [value for value in values if value.known]
    return pick(known, key=lambda value: value.number) if len(known) > 1 else None


def explain_missing(line: MachineLine, measures: Measures) -> Iterator[tuple[str, str]]:
    """Yield each run in which a line has no time, and why."""
    for run, case in line.cases.items():
        if not (time := measures.time(case)).known:
            yield run, time.reason


def _value(number: float, unit: str) -> Value:
    return Value(number, format_value(number, unit))
