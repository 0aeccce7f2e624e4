"""Energy net of the power at rest, and work per joule, with what both ends leave uncertain."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.core.measurement import Measurement
from harness.core.trial import Rest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.core.case import PlannedCase

GROSS, POWER = "energy_gross", "power_mean"
UNAVAILABLE, INTEGRATED = "unavailable", "integrated"


def derive_energies(planned: PlannedCase, found: Mapping[str, Measurement], rests: Sequence[Rest]) -> list[Measurement]:
    """Return what follows from the gross energy of a step; nothing where that was not measured."""
    gross, power = found.get(GROSS), found.get(POWER)
    if not gross or not power or math.isnan(gross.median):
        return []
    rows = [_per_joule(gross, planned.cost.flops)] if planned.cost.flops else []
    if items := planned.cost.items:
        rows.append(_over(gross, "energy_per_item", items))
    if idle := estimate_idle_power(rests):
        rows += [_idle(gross, idle), _net(gross, power, idle)]
    return rows


def estimate_idle_power(rests: Sequence[Rest]) -> Rest | None:
    """Return the power between rests; what it changed by is part of the uncertainty. None where it is not known."""
    known = [rest for rest in rests if not math.isnan(rest.watts)]
    if not known:
        return None
    low, high = min(rest.watts for rest in known), max(rest.watts for rest in known)
    half = (high - low) / 2 + max(rest.uncertainty for rest in known)
    return Rest(known[0].moment, (low + high) / 2, half, _weaker(*(rest.provenance for rest in known)))


def _weaker(*provenances: str) -> str:
    """Return the provenance that claims less: polled power that was integrated, rather than a counter that measured."""
    return min(provenances, key=lambda one: not one.startswith(INTEGRATED))


def _over(gross: Measurement, metric: str, amount: float) -> Measurement:
    """Return the energy over an amount of work."""
    median, low, high = (value / amount for value in (gross.median, gross.ci_low, gross.ci_high))
    return Measurement(gross.case, metric, gross.n, gross.launches, median, low, high, gross.flags, gross.provenance)


def _idle(gross: Measurement, idle: Rest) -> Measurement:
    ends = idle.watts - idle.uncertainty, idle.watts + idle.uncertainty
    return Measurement(gross.case, "power_idle", 1, gross.launches, idle.watts, *ends, (), idle.provenance)


def _net(gross: Measurement, power: Measurement, idle: Rest) -> Measurement:
    """Take the energy at rest from that of a step, for the time that the step took in the window."""
    seconds = gross.median / power.median
    median = gross.median - idle.watts * seconds
    half = (gross.ci_high - gross.median) + idle.uncertainty * seconds
    ends, provenance = (median - half, median + half), _weaker(gross.provenance, idle.provenance)
    return Measurement(gross.case, "energy_net", gross.n, gross.launches, median, *ends, gross.flags, provenance)


def _per_joule(gross: Measurement, flops: float) -> Measurement:
    ends = flops / gross.ci_high, flops / gross.ci_low
    return Measurement(
        gross.case,
        "flops_per_joule",
        gross.n,
        gross.launches,
        flops / gross.median,
        *ends,
        gross.flags,
        gross.provenance,
    )
