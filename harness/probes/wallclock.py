"""Wall clock and CPU clock around steps that run on the host."""

from __future__ import annotations

import time
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.core.flag import Flag

# A sample shows a difference of 0.1 % only if it is a thousand ticks long.
_TICKS = 1000


class WallClock:
    """``time.perf_counter_ns`` inside, ``time.process_time_ns`` (all threads) outside."""

    largest_block = 1 << 24

    def __init__(self) -> None:
        self.least_s = _TICKS * measure_resolution()

    def sample(self, step: Callable[[], Any], block: int) -> tuple[dict[str, float], tuple[Flag, ...]]:
        """Run ``block`` steps; see :class:`harness.probes.Clock`."""
        steps = repeat(None, block)
        cpu_start = time.process_time_ns()
        start = time.perf_counter_ns()
        for _ in steps:
            step()
        end = time.perf_counter_ns()
        cpu_end = time.process_time_ns()
        scale = 1e-9 / block
        return {"time": (end - start) * scale, "cpu_time": (cpu_end - cpu_start) * scale}, ()


def measure_resolution(readings: int = 200) -> float:
    """Return the smallest step seen between consecutive readings of the wall clock, in seconds."""
    seen = [time.perf_counter_ns() for _ in range(readings)]
    steps = [later - earlier for earlier, later in pairwise(seen) if later > earlier]
    return min(steps, default=1) * 1e-9
