"""The power of a device at rest, and what the controller knows of its energy meter."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.core.trial import Rest, format_utc_now
from harness.probes.energy import LONGEST_WINDOW_S, explain_unavailable, measure_idle_power
from harness.probes.meter import MeterError, Tick
from harness.probes.open_meter import open_gauge

if TYPE_CHECKING:
    from harness.core.suite import Policy

# After a run the device cools down before its power at rest is measured.
_COOL_S = 5.0


class Energy:
    """What the controller knows of a run's meter: its tick, or why there is none."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._tick: Tick | None = None
        self.unavailable = "unavailable: not asked for" if not policy.energy_precision else ""

    def rest(self, *, cooled: bool = False) -> Rest | None:
        """Measure the power at rest, and on the first call the meter's tick; None where energy is not asked for."""
        if not self._policy.energy_precision:
            return None
        try:
            with open_gauge(self._policy.device, self._policy.seed, self._tick) as gauge:
                self._tick = gauge.tick
                cool_s = _COOL_S if cooled else 0.0
                found = measure_idle_power(gauge, self._policy.energy_precision, LONGEST_WINDOW_S, cool_s)
                return Rest(format_utc_now(), found.value, found.uncertainty, found.cite(gauge.meter.name))
        except MeterError as error:
            self.unavailable = explain_unavailable(error).provenance
            return Rest(format_utc_now(), math.nan, math.nan, self.unavailable)

    @property
    def order(self) -> dict[str, Any]:
        """What a worker has to know."""
        tick = self._tick
        return {
            "tick": (tick.period_s, tick.jitter_s) if tick else None,
            "wanted": self._policy.energy_precision,
        }
