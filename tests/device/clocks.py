"""Whether the CUDA clock reads right: its modes against each other, against do_bench, and against known ratios."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

from harness.probes.cuda_events import CudaClock

if TYPE_CHECKING:
    from report import Report

Call = Callable[[], Any]
MODES = ("cold", "hot", "graph", "host")
SAMPLES = 200
# Bytes a second that a copy moves, read and written together.
COPY = {"H100": (2.6e12, 3.1e12), "H200": (3.9e12, 4.6e12)}
# From here on all modes must agree within 3 %; the wall time of a call has the launch and the wait on top.
LONG_S, AGREE, HOST_S = 100e-6, 0.03, 60e-6


def agree(report: Report) -> None:
    """Time steps of known length in every mode and by triton.testing.do_bench."""
    from triton.testing import do_bench

    found: dict[str, dict[str, float]] = {}
    for name, step in _steps(report.device).items():
        times = found[name] = {}
        for mode in MODES if name != "nothing" else ("cold", "hot", "host"):  # an empty graph is refused
            sampled = read(CudaClock(report.device, mode), step)
            times[mode] = sampled["median"]
            report.keep(f"{name}, {mode}", sampled)
        truth = times["do_bench"] = 1e-3 * do_bench(step, return_mode="median")
        report.keep(f"{name}, do_bench", truth)
        report.say(f"{name}: " + " ".join(f"{mode} {1e6 * value:.1f}" for mode, value in times.items()) + " us")
        for mode in MODES if truth > LONG_S else ():
            high = (1 + AGREE) * truth + (HOST_S if mode == "host" else 0)
            right = (1 - AGREE) * truth <= times[mode] <= high
            report.want(right, f"{name} in {mode} reads {times[mode] / truth:.3f} of do_bench")
    for mode in ("cold", "hot", "graph"):
        ratio = found["sleep 1e7"][mode] / found["sleep 1e6"][mode]
        report.want(abs(ratio / 10 - 1) < 0.01, f"{mode}: ten times the cycles take {ratio:.2f} times as long")
    rate = 2 * 2**30 / found["copy of 1 GiB"]["cold"]
    low, high = _copy_rates()
    report.say(f"copy {rate / 1e12:.2f} TB/s")
    report.want(low <= rate <= high, f"a copy at {rate / 1e12:.2f} TB/s")
    nothing_s = found["nothing"]["cold"]
    report.want(nothing_s < 3e-6, f"nothing reads {1e6 * nothing_s:.1f} us")
    report.say(f"events tick every {1e9 * _tick(report.device):.0f} ns")


def flush(report: Report) -> None:
    """Compare steps after a flush that leaves L2 dirty, and after one that then reads another buffer."""
    device = report.device
    l2 = torch.cuda.get_device_properties(device).L2_cache_size
    steps = {"copy of 1 GiB": _copy(device, 2**30), "add of 16 MiB": _add(device, 2**24)}
    for name, step in steps.items():
        dirty_s, clean_s = {}, {}
        for share in (0.5, 1.0, 2.0, 4.0):
            written, other = (torch.zeros(int(share * l2) // 8, dtype=torch.int64, device=device) for _ in range(2))
            dirty_s[share] = _after(written.zero_, step)
            clean_s[share] = _after(lambda w=written, o=other: (w.zero_(), o.max()), step)
        report.keep(name, {"dirty": dirty_s, "clean": clean_s, "l2": l2})
        report.say(f"{name}: dirty {1e6 * dirty_s[2.0]:.1f} us, clean {1e6 * clean_s[2.0]:.1f} us")
        report.want(clean_s[2.0] <= 1.02 * dirty_s[2.0], f"{name} is slower after a clean flush")
        report.want(abs(clean_s[4.0] / clean_s[2.0] - 1) < 0.05, f"{name} is not flat from 2 L2 on")


def waits(report: Report) -> None:
    """Sample steps that wait for the device, that fill its queue, and that leave the stream."""
    device = torch.device(report.device)
    x, side = torch.ones(4096, device=device), torch.cuda.Stream(device)

    def item() -> float:
        torch.cuda._sleep(1_000_000)
        return float(x.sum().item())

    def launches() -> None:
        for _ in range(1500):
            x.mul_(1.0)

    def elsewhere() -> None:
        side.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(side):
            torch.cuda._sleep(2_000_000)

    for name, step, flag in (
        ("item", item, "exposed"),
        ("launches", launches, ""),
        ("elsewhere", elsewhere, "side_stream"),
    ):
        started = time.perf_counter()
        found = read(CudaClock(report.device, "cold"), step, 60)
        share = (time.perf_counter() - started) / sum(found["times"])
        report.keep(name, {**found, "wall over time": share})
        report.say(f"{name}: {1e6 * found['median']:.0f} us, wall {share:.1f} times, flags {found['flags']}")
        report.want(not flag or flag in found["flags"], f"{name} is not flagged {flag}")
        report.want(name == "elsewhere" or share < 3, f"{name}: the wall took {share:.1f} times the steps")


def read(clock: CudaClock, step: Call, samples: int = SAMPLES) -> dict[str, Any]:
    """Sample a step as the measuring loop would, and return what came out; times are seconds a step."""
    for _ in range(2):
        first = clock.sample(step, 1)[0]["time"]
    block = min(clock.largest_block, max(1, math.ceil(clock.least_s / max(first, 1e-7))))
    taken = [clock.sample(step, block) for _ in range(samples)]
    times = [values["time"] for values, _ in taken]
    host = [values["host_time"] for values, _ in taken]
    flags = Counter(flag for _, raised in taken for flag in filter(None, raised.split(",")))
    return {
        "median": statistics.median(times),
        "host_time": statistics.median(host),
        "block": block,
        "flags": dict(flags),
        "times": times,
    }


def _steps(device: str) -> dict[str, Call]:
    a, b = (torch.randn(4096, 4096, device=device).bfloat16() for _ in range(2))
    product, x = torch.empty_like(a), torch.randn(4096, device=device)
    out = torch.empty_like(x)
    return {
        "nothing": lambda: None,
        "mul of 4096": lambda: torch.mul(x, 1.0, out=out),
        "sleep 1e6": lambda: torch.cuda._sleep(1_000_000),
        "sleep 1e7": lambda: torch.cuda._sleep(10_000_000),
        "copy of 1 GiB": _copy(device, 2**30),
        "product of 4096": lambda: torch.mm(a, b, out=product),
    }


def _copy(device: str, size: int) -> Call:
    source = torch.zeros(size // 8, dtype=torch.int64, device=device)
    out = torch.empty_like(source)
    return lambda: out.copy_(source)


def _add(device: str, size: int) -> Call:
    x = torch.zeros(size // 8, dtype=torch.int64, device=device)
    return lambda: x.add_(1)


def _after(flush: Call, step: Call) -> float:
    """Return the median seconds of a step after a flush, enqueued while the device is held."""
    times = []
    for _ in range(50):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        flush()
        torch.cuda._sleep(200_000)
        begin.record()
        step()
        end.record()
        end.synchronize()
        times.append(1e-3 * begin.elapsed_time(end))
    return statistics.median(times)


def _tick(device: str) -> float:
    """Return the smallest difference between times of short work, in seconds."""
    x = torch.ones(4096, device=device)
    times = set()
    for count in range(1, 200):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda._sleep(100_000)
        begin.record()
        for _ in range(count % 5 + 1):
            x.mul_(1.0)
        end.record()
        end.synchronize()
        times.add(round(1e6 * begin.elapsed_time(end)))  # nanoseconds, of a float32 of milliseconds
    return min((later - earlier for earlier, later in pairwise(sorted(times))), default=0) * 1e-9


def _copy_rates() -> tuple[float, float]:
    name = torch.cuda.get_device_name()
    return next((rates for word, rates in COPY.items() if word in name), (0.0, math.inf))
