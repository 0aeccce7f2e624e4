"""The energy of a case, in a pass without timing: the step is looped under the device's meter."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from harness.core.trial import Sample
from harness.probes.energy import LONGEST_WINDOW_S, explain_no_energy, explain_unavailable, measure_step_energy
from harness.probes.meter import MeterError, Tick
from harness.probes.open_meter import open_gauge

if TYPE_CHECKING:
    from harness.core.flag import Flag
    from harness.core.workload import Step
    from harness.probes.energy import EnergyReading
    from harness.probes.window import Work

# Steps queued on a CUDA device take at least so long, so that it does not wait while a meter is read.
_AHEAD_S = 20e-3


def measure_step(
    device: str, step: Step, step_s: float, seed: int, tick: tuple[float, float] | None, wanted: float
) -> list[Sample]:
    """Loop a step under the device's meter; return its energy and the mean power, or why there are none."""
    try:
        with open_gauge(device, seed, Tick(*tick) if tick else None) as gauge:
            work = _looped(step) if device == "cpu" else _queued(step, step_s, device)
            found = measure_step_energy(gauge, work, wanted, LONGEST_WINDOW_S)
            source = f"{gauge.meter.name} ({found.scope})"
    except MeterError as error:
        return [explain_no_energy(explain_unavailable(error).provenance)]
    return [
        _sample("energy_gross", found.gross, source, found.flags),
        _sample("power_mean", found.power, source, found.flags),
    ]


def _sample(metric: str, found: EnergyReading, source: str, flags: tuple[Flag, ...]) -> Sample:
    return Sample(metric, found.value, 0, 0, ",".join(flags), found.uncertainty, found.cite(source))


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
