"""Finds the fastest configuration of a kernel on the device at hand.

By hand, because ``triton.autotune`` needs a driver even where kernels are interpreted.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from implementations.attention._flash_problem import Config

    Launch = Callable[[], object]

_BATCHES, _CALLS = 5, 4


def chosen(name: str, configs: Sequence[Config], prepare: Callable[[Config], Launch]) -> Config:
    """Return the fastest configuration; the first where kernels are interpreted, and there is nothing to time.

    Says what it took and how long that took: what a set-up prints is kept with the trial.
    """
    import triton

    if triton.knobs.runtime.interpret:
        return configs[0]
    started = time.perf_counter()
    best, times = fastest(configs, prepare, device_seconds)
    took = time.perf_counter() - started
    print(f"{name}: {best} at {times[best]:.3e} s, the fastest of {len(times)} that fit; tuned in {took:.1f} s")
    return best


def fastest(
    configs: Sequence[Config], prepare: Callable[[Config], Launch], seconds: Callable[[Launch], float]
) -> tuple[Config, dict[Config, float]]:
    """Return the configuration that takes least, and the times of all that fit the device.

    Raises:
        OutOfResources: not one fits.
    """
    from triton.runtime.errors import OutOfResources

    times: dict[Config, float] = {}
    refused = None
    for config in configs:
        try:
            times[config] = seconds(prepare(config))
        except OutOfResources as error:  # shared or tensor memory, which only the device knows for certain
            refused = error
    if not times and refused:
        raise refused
    return min(times, key=times.__getitem__), times


def device_seconds(launch: Launch) -> float:
    """Return the time of one call between device events: the median over batches, after a first call that compiles."""
    launch()
    torch.cuda.synchronize()
    times = []
    for _ in range(_BATCHES):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(_CALLS):
            launch()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / 1e3 / _CALLS)
    return float(statistics.median(times))
