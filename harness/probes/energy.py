"""Energy of a step and power at rest, each with its uncertainty and provenance, or with the reason for neither.

Half widths are bounds (see harness.probes.window), so they add up; none is a zero that stands for "no meter".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.probes.meter import INTEGRATED, MEASURED, MeterError, Reason

if TYPE_CHECKING:
    from harness.probes.window import Gauge, Window, Work

DISAGREE = "meters_disagree"

_DISAGREEMENT = 0.05


@dataclass(frozen=True)
class Figure:
    """A number with its half width in the same unit; both are NaN where there is a reason for none.

    Attributes:
        provenance: ``measured``, ``integrated``, or ``unavailable: `` and one line for the user.
    """

    value: float
    uncertainty: float
    provenance: str
    reason: Reason | None = None


@dataclass(frozen=True)
class StepEnergy:
    """What a window told of a step.

    Attributes:
        gross: joules a step, with whatever the device draws at rest.
        power: mean watts.
        step_s: seconds a step in the window, which is not the measured time: the meter was read between.
        window: what was read; None where there is no figure.
        scope: whose energy it is, as the meter says.
        flags: ``meters_disagree`` where a second meter is off by over 5 %.
    """

    gross: Figure
    power: Figure
    step_s: float
    window: Window | None
    scope: str
    flags: str


def unavailable(error: MeterError) -> Figure:
    """Return the figure that says why there is none."""
    return Figure(math.nan, math.nan, f"unavailable: {error}", error.reason)


def step_energy(gauge: Gauge, work: Work, wanted: float = 0.02, limit_s: float = 30.0) -> StepEnergy:
    """Loop a step in a window that is long enough for the wanted relative uncertainty, and return its energy.

    What a meter cannot do becomes a figure that says so; what the work raises goes through.
    """
    meter = gauge.meter
    try:
        window = gauge.window(work, wanted, limit_s)
        if window.steps == 0:
            raise MeterError(Reason.TOO_SHORT, f"no step ended in a window of {window.seconds:.3g} s")
    except MeterError as error:
        return StepEnergy(unavailable(error), unavailable(error), 0.0, None, meter.scope, "")
    gross_j = window.watts * window.step_s
    return StepEnergy(
        gross=Figure(gross_j, gross_j * window.uncertainty, meter.provenance),
        power=Figure(window.watts, window.watts * window.uncertainty, meter.provenance),
        step_s=window.step_s,
        window=window,
        scope=meter.scope,
        flags=DISAGREE if (window.disagreement or 0.0) > _DISAGREEMENT else "",
    )


def idle_power(gauge: Gauge, wanted: float = 0.02, limit_s: float = 30.0, rest_s: float = 0.0) -> Figure:
    """Return the mean power in watts while this process does nothing, after a rest for clocks to come down."""
    try:
        if rest_s:
            gauge.rest(rest_s)
        window = gauge.window(gauge.rest, wanted, limit_s)
    except MeterError as error:
        return unavailable(error)
    return Figure(window.watts, window.watts * window.uncertainty, gauge.meter.provenance)


def idle_between(before: Figure, after: Figure) -> Figure:
    """Return the idle power between two idle windows, in watts; what it changed by is part of the uncertainty."""
    for figure in (before, after):
        if figure.reason:
            return figure
    half_w = abs(after.value - before.value) / 2 + max(before.uncertainty, after.uncertainty)
    return Figure((before.value + after.value) / 2, half_w, _weaker(before, after))


def net_energy(gross: Figure, idle: Figure, step_s: float) -> Figure:
    """Return the energy of a step above what the device draws at rest in the same time, in joules."""
    for figure in (gross, idle):
        if figure.reason:
            return figure
    half_j = gross.uncertainty + idle.uncertainty * step_s
    return Figure(gross.value - idle.value * step_s, half_j, _weaker(gross, idle))


def _weaker(one: Figure, other: Figure) -> str:
    return INTEGRATED if INTEGRATED in (one.provenance, other.provenance) else MEASURED
