"""The energy of a case, in a pass of its own, and the power of a device at rest."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from harness.core.trial import Rest, Sample, utc_now
from harness.probes.energy import idle_power, step_energy, unavailable
from harness.probes.meter import MeterError, Tick
from harness.probes.meters import open_gauge

if TYPE_CHECKING:
    from harness.core.flag import Flag
    from harness.core.suite import Policy
    from harness.core.workload import Step
    from harness.probes.energy import Figure
    from harness.probes.window import Work

# The longest window. What needs more is refused, with the numbers.
_LIMIT_S = 30.0
# After a run the device cools down before its power at rest is measured.
_COOL_S = 5.0
# Steps queued on a CUDA device take at least so long, so that it does not wait while a meter is read.
_AHEAD_S = 20e-3


class Energy:
    """What the parent knows of a run's meter: its tick, or why there is none."""

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
                found = idle_power(gauge, self._policy.energy_precision, _LIMIT_S, cool_s)
                return Rest(utc_now(), found.value, found.uncertainty, _provenance(found, gauge.meter.name))
        except MeterError as error:
            self.unavailable = unavailable(error).provenance
            return Rest(utc_now(), math.nan, math.nan, self.unavailable)

    @property
    def order(self) -> dict[str, Any]:
        """What a worker has to know."""
        tick = self._tick
        return {
            "tick": (tick.period_s, tick.jitter_s) if tick else None,
            "wanted": self._policy.energy_precision,
        }


def measure_step(
    device: str, step: Step, step_s: float, seed: int, tick: tuple[float, float] | None, wanted: float
) -> list[Sample]:
    """Loop a step under the device's meter; return its energy and the mean power, or why there are none."""
    try:
        with open_gauge(device, seed, Tick(*tick) if tick else None) as gauge:
            work = _looped(step) if device == "cpu" else _queued(step, step_s, device)
            found = step_energy(gauge, work, wanted, _LIMIT_S)
            source = f"{gauge.meter.name} ({found.scope})"
    except MeterError as error:
        return [no_energy(unavailable(error).provenance)]
    return [
        _sample("energy_gross", found.gross, source, found.flags),
        _sample("power_mean", found.power, source, found.flags),
    ]


def no_energy(reason: str) -> Sample:
    """Return the row that stands where there is no energy."""
    return Sample("energy_gross", math.nan, 0, provenance=reason)


def _sample(metric: str, found: Figure, source: str, flags: tuple[Flag, ...]) -> Sample:
    return Sample(metric, found.value, 0, 0, ",".join(flags), found.uncertainty, _provenance(found, source))


def _provenance(found: Figure, source: str) -> str:
    return found.provenance if found.reason else f"{found.provenance}: {source}"


def _looped(step: Step) -> Work:
    """Return work that runs steps on the host."""

    def work(seconds: float) -> int:
        end, steps = time.perf_counter() + seconds, 0
        while not steps or time.perf_counter() < end:
            step()
            steps += 1
        return steps

    return work


def _queued(step: Step, step_s: float, device: str) -> Work:
    """Return work that keeps steps queued on a CUDA device, and counts those that have ended."""
    import torch

    ahead = max(2, math.ceil(_AHEAD_S / max(step_s, 1e-6)))
    pending: deque[Any] = deque()

    def enqueue() -> None:
        step()
        done = torch.cuda.Event()
        done.record(torch.cuda.current_stream(device))
        pending.append(done)

    def work(seconds: float) -> int:
        end, steps = time.perf_counter() + seconds, 0
        while not steps or time.perf_counter() < end:
            while len(pending) <= ahead:
                enqueue()
            pending.popleft().synchronize()
            steps += 1
        return steps

    return work
