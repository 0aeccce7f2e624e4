"""Prints how well energy is read where the truth is known, and what the meters cost.

``python -m tests.benchmarks.energy``. Many windows are on a simulated device, in simulated time; a few are the real
nvidia-ml-py over a stand-in for the driver library, in real time. Nothing is asserted.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import Any

from harness.probes.energy import measure_idle_power, measure_step_energy
from tests.probes.nvml_stand_in import StandIn
from tests.probes.test_energy import BUSY_W, IDLE_W, Device, gauge, net, rest

WINDOWS = 300
KINDS: dict[str, dict[str, Any]] = {
    "1 ms steps, tick 100 ms": {},
    "the same, ticks up to 3 ms late": {"late_s": 3e-3},
    "the same, host waits for the meter": {"queued": False},
    "1 ms steps, tick 20 ms": {"period_s": 0.02},
    "30 ms steps, all power in one half": {"step_s": 30e-3, "first": 1.0},
    "250 ms steps, all power in one half": {"step_s": 0.25, "first": 1.0},
    "1 ms steps, tick 1 ms (RAPL)": {"period_s": 1e-3, "queued": False, "read_s": 100e-6},
    "4 ms steps 15 % uneven, 1/4 seen": {"step_s": 4e-3, "noise": 0.15, "seen": 0.25},
    "20 ms steps in one half, 1/4 seen": {"step_s": 20e-3, "first": 1.0, "seen": 0.25},
}
REAL = """
import json, sys, time
from harness.probes.energy import measure_step_energy
from harness.probes.nvml import Device
from harness.probes.window import Gauge

spun = []

def work(seconds):
    # Steps of a millisecond; what they took by their own clock is kept.
    steps, started = max(1, round(seconds / 1e-3)), time.perf_counter()
    for step in range(steps):
        while time.perf_counter() < started + (step + 1) * 1e-3:
            pass
    spun.append((steps, time.perf_counter() - started))
    return steps

def spun_s(steps):
    # The mean of the last steps.
    taken, seconds = 0, 0.0
    while taken < steps:
        more, more_s = spun.pop()
        taken, seconds = taken + more, seconds + more_s
    return seconds / taken

def cost(call, calls=2000):
    started = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - started) / calls

device = Device()
meter, check = device.meters()
started = time.perf_counter()
one = Gauge(meter, check=check)
found_s = time.perf_counter() - started
rows = []
for _ in range(5):
    started = time.perf_counter()
    energy = measure_step_energy(one, work)
    whole_s, window = time.perf_counter() - started, energy.window
    rows.append(
        [energy.gross.value, energy.gross.uncertainty, spun_s(window.steps), window.seconds, whole_s,
         window.disagreement]
        if window
        else energy.gross.provenance
    )
spent = time.process_time()
time.sleep(2)
polled = (time.process_time() - spent) / 2
print(json.dumps({"rows": rows, "tick": one.tick.period_s, "found_s": found_s, "read": cost(meter.read),
                  "state": cost(device.state), "power": cost(check.read), "polled": polled}))
"""


def main() -> None:
    """Print the figures, part by part."""
    print(f"{WINDOWS} windows each, {BUSY_W:g} W while a step runs, 2 % wanted (simulated)")
    for name, kind in KINDS.items():
        windows(name, kind)
    unaligned()
    at_rest()
    refused()
    real(0.1)


def windows(name: str, kind: dict[str, Any]) -> None:
    """Print how often the truth is within the uncertainty that is printed beside the figure."""
    held, errors, halves, lengths = 0, list[float](), list[float](), list[float]()
    for seed in range(WINDOWS):
        device = Device(seed, **kind)
        energy = measure_step_energy(gauge(device), device.work, wanted=0.02)
        if energy.window is None:
            continue
        truth = BUSY_W * device.step_s
        errors.append(energy.gross.value / truth - 1)
        halves.append(energy.gross.uncertainty / energy.gross.value)
        held += abs(energy.gross.value - truth) <= energy.gross.uncertainty
        lengths.append(energy.window.seconds)
    print(
        f"{name:36} within {held / len(errors):6.1%}, uncertainty at most {max(halves):.2%}, error at most "
        f"{max(map(abs, errors)):.2%}, on average {statistics.fmean(errors):+.3%}, "
        f"window {statistics.median(lengths):.1f} s"
    )


def unaligned() -> None:
    """Print what a window of the same length tells that begins and ends anywhere."""
    for seconds in (0.5, 2.0, 10.0):
        errors = []
        for seed in range(WINDOWS):
            device = Device(seed)
            device.advance(device.random.uniform(0.2, 0.3), IDLE_W)
            started, joules = device.time_s, device.read()
            while device.time_s - started < seconds:
                device.work(5e-3)
            per_step_j = (device.read() - joules) / device.steps
            errors.append(abs(per_step_j / (BUSY_W * device.step_s) - 1))
        bound = 2 * 0.1 / seconds
        print(f"unaligned, {seconds:4.1f} s: error at most {max(errors):.2%} (2 T / W is {bound:.1%})")


def at_rest() -> None:
    """Print the energy above that at rest, over what is true."""
    device = Device(1)
    one = gauge(device)
    idle = measure_idle_power(one)
    energy = measure_step_energy(one, device.work)
    found = net(energy, rest(idle))
    truth = (BUSY_W - IDLE_W) * device.step_s
    print(f"idle {idle.value:.2f} +- {idle.uncertainty:.2f} W (true: {IDLE_W:g})")
    if found:
        half = found.ci_high - found.median
        print(f"net {found.median * 1e3:.2f} +- {half * 1e3:.2f} mJ a step (true: {truth * 1e3:g})")


def refused() -> None:
    """Print what is said of windows that are too short."""
    for step_s in (1e-3, 0.2):
        device = Device(step_s=step_s)
        energy = measure_step_energy(gauge(device), device.work, limit_s=0.2)
        print(f"refused: {energy.gross.provenance}")


def real(tick_s: float) -> None:
    """Print five windows in real time, and the costs of a reading."""
    with tempfile.TemporaryDirectory() as folder:
        library = StandIn(Path(folder))
        library.write(watts=BUSY_W, tick=tick_s)
        read = library.run(REAL)
    print(
        f"real time, nvidia-ml-py: tick {read['tick'] * 1e3:.2f} ms (true: {tick_s * 1e3:g}), {read['found_s']:.1f} s"
    )
    for row in read["rows"]:
        if isinstance(row, str):
            print(f"  {row}")
            continue
        gross_j, half_j, step_s, window_s, whole_s, disagreement = row
        truth_j = BUSY_W * step_s
        print(
            f"  {gross_j * 1e3:.2f} +- {half_j * 1e3:.2f} mJ a step (true: {truth_j * 1e3:.2f}, off by "
            f"{gross_j / truth_j - 1:+.2%}), window {window_s:.2f} s of {whole_s:.2f} s, polled {disagreement:.2%} off"
        )
    costs = ", ".join(f"{name} {read[name] * 1e6:.0f} us" for name in ("read", "power", "state"))
    print(f"  a call: {costs}; polling takes {read['polled']:.2%} of a core")


if __name__ == "__main__":
    main()
