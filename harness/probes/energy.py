"""Energy of a step and power at rest, each with its uncertainty and provenance, or with the reason for neither.

Half widths are bounds (see harness.probes.window), so they add up; none is a zero that stands for "no meter".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.flag import Flag
from harness.core.trial import Sample
from harness.probes.meter import MeterError, Reason

if TYPE_CHECKING:
    from harness.probes.window import Gauge, Window, Work

# The longest window. What needs more is refused, with the numbers.
LONGEST_WINDOW_S = 30.0
_DISAGREEMENT = 0.05


@dataclass(frozen=True)
class EnergyReading:
    """A number with its half width in the same unit; both are NaN where there is a reason for none.

    Attributes:
        provenance: ``measured``, ``integrated``, or ``unavailable: `` and one line for the user.
    """

    value: float
    uncertainty: float
    provenance: str
    reason: Reason | None = None

    def cite(self, source: str) -> str:
        """Return the provenance with the meter that it came from, or the reason why there is no number."""
        return self.provenance if self.reason else f"{self.provenance}: {source}"


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

    gross: EnergyReading
    power: EnergyReading
    step_s: float
    window: Window | None
    scope: str
    flags: tuple[Flag, ...]


def explain_unavailable(error: MeterError) -> EnergyReading:
    """Return the figure that says why there is none."""
    return EnergyReading(math.nan, math.nan, f"unavailable: {error}", error.reason)


def explain_no_energy(reason: str) -> Sample:
    """Return the row that stands where there is no energy."""
    return Sample("energy_gross", math.nan, 0, provenance=reason)


def measure_step_energy(gauge: Gauge, work: Work, wanted: float = 0.02, limit_s: float = 30.0) -> StepEnergy:
    """Loop a step in a window that is long enough for the wanted relative uncertainty, and return its energy.

    What a meter cannot do becomes a figure that says so; what the work raises goes through.
    """
    meter = gauge.meter
    try:
        window = gauge.window(work, wanted, limit_s)
        if window.steps == 0:
            raise MeterError(Reason.TOO_SHORT, f"no step ended in a window of {window.seconds:.3g} s")
    except MeterError as error:
        return StepEnergy(explain_unavailable(error), explain_unavailable(error), 0.0, None, meter.scope, ())
    gross_j = window.watts * window.step_s
    return StepEnergy(
        gross=EnergyReading(gross_j, gross_j * window.uncertainty, meter.provenance),
        power=EnergyReading(window.watts, window.watts * window.uncertainty, meter.provenance),
        step_s=window.step_s,
        window=window,
        scope=meter.scope,
        flags=(Flag.METERS_DISAGREE,) if (window.disagreement or 0.0) > _DISAGREEMENT else (),
    )


def measure_idle_power(gauge: Gauge, wanted: float = 0.02, limit_s: float = 30.0, rest_s: float = 0.0) -> EnergyReading:
    """Return the mean power in watts while this process does nothing, after a rest for clocks to come down."""
    try:
        if rest_s:
            gauge.rest(rest_s)
        window = gauge.window(gauge.rest, wanted, limit_s)
    except MeterError as error:
        return explain_unavailable(error)
    return EnergyReading(window.watts, window.watts * window.uncertainty, gauge.meter.provenance)
