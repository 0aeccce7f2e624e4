"""The energy of a known load, three ways."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import torch
from attention import seconds

from harness.launch.worker.energy import measure_step
from harness.probes.energy import measure_idle_power
from harness.probes.open_meter import open_device, open_gauge

if TYPE_CHECKING:
    from collections.abc import Callable

    from report import Report

N, LOAD_S, AGREE = 8192, 4.0, 0.03
IDLE_W = (65, 130)


def known_load(report: Report) -> None:
    """Loop a product: joules a step by the harness, by the counter's ends alone, and by polled power."""
    device = report.device
    a, b = (torch.randn(N, N, device=device).bfloat16() for _ in range(2))
    out = torch.empty_like(a)

    def step() -> torch.Tensor:
        return torch.mm(a, b, out=out)

    step_s = seconds(device, step, 20)
    time.sleep(1.0)
    tick = _idle(report, "idle before")
    gauged = {one.metric: one for one in measure_step(device, step, step_s, 0, tick, 0.02)}
    report.keep("gauge", {name: vars(one) for name, one in gauged.items()})
    counted_j, polled_j = _by_hand(device, step, step_s)
    ways = {"gauge": gauged["energy_gross"].value, "counter": counted_j, "polled": polled_j}
    report.keep("joules a step", ways)
    report.say(", ".join(f"{name} {value:.4g} J" for name, value in ways.items()))
    report.want(max(ways.values()) <= (1 + AGREE) * min(ways.values()), "the three ways differ by more than 3 %")
    if power := gauged.get("power_mean"):
        report.say(f"{power.value:.0f} W +-{power.uncertainty:.0f}")
    report.want("power_mean" in gauged, gauged["energy_gross"].provenance)
    time.sleep(1.0)
    _idle(report, "idle after")


def _idle(report: Report, name: str) -> tuple[float, float]:
    """Keep the power at rest; return the tick of the meter."""
    with open_gauge(report.device, 0) as gauge:
        found = measure_idle_power(gauge, 0.02)
        report.keep(name, vars(found))
        report.say(f"{name} {found.value:.0f} W")
        report.want(IDLE_W[0] <= found.value <= IDLE_W[1], f"{name}: {found.value:.0f} W, {found.provenance}")
        return gauge.tick.period_s, gauge.tick.jitter_s


def _by_hand(device: str, step: Callable[[], object], step_s: float) -> tuple[float, float]:
    """Return joules a step over a fixed number of steps: of the counter between two reads, and of polled power."""
    steps = max(1, round(LOAD_S / step_s))
    with contextlib.ExitStack() as stack:
        nvidia = open_device(device)
        stack.callback(nvidia.close)
        meters = nvidia.meters()
        for meter in filter(None, meters):
            stack.callback(meter.close)
        torch.cuda.synchronize(device)
        before = [meter.read() if meter else float("nan") for meter in meters]
        for number in range(steps):
            step()
            if number % 20 == 0:
                torch.cuda.synchronize(device)
        torch.cuda.synchronize(device)
        after = [meter.read() if meter else float("nan") for meter in meters]
    counted_j, polled_j = ((end - begin) / steps for begin, end in zip(before, after, strict=True))
    return counted_j, polled_j
