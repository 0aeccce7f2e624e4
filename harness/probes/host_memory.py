"""Peak memory of the host: what the kernel saw resident, and what torch's allocator handed out."""

from __future__ import annotations

import ctypes
import gc
import mmap
import resource
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.probes.profiler import open_profiler

if TYPE_CHECKING:
    from collections.abc import Callable

# mallopt(3): blocks of at least 64 KiB come from mmap and go back to the kernel when freed. Otherwise a warm heap
# serves a step from memory that is resident already, and the step seems to need none.
_M_MMAP_THRESHOLD, _THRESHOLD = -3, 1 << 16
# The kernel adds up its count of resident pages in batches of 32 (or twice the cores, where that is more).
_LAPS, _LAPS_S = 64, 0.2


def measure_peak_resident(region: Callable[[], Any], limit_s: float = _LAPS_S) -> dict[str, float]:
    """Run a region in laps, after one for rehearsal, and return how far the resident set grew in it, in bytes.

    Both ends come from ``ru_maxrss``, reset in between, which the kernel reads from counters that it keeps by core and
    adds up in batches: any one reading is a whole number of batches beside the truth. Each lap starts with one page
    more than the last, which moves the rounding on by a page, and the mean over whole cycles is exact. A slow region
    gets a single lap, which is then off by a batch a core at most.

    Changes how this process allocates, for good: a process that measures memory should measure nothing else.

    Args:
        region: what is measured.
        limit_s: no lap begins after so long; at 0 there is one, and so as many in every process.
    """
    libc = ctypes.CDLL(None)
    libc.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
    region()  # what is loaded, compiled and cached the first time is not what a step needs
    dither = mmap.mmap(-1, _LAPS * mmap.PAGESIZE)
    peaks = []
    end = time.perf_counter() + limit_s
    for lap in range(_LAPS):
        gc.collect()
        libc.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        start = _max_rss()
        region()
        peaks.append(_max_rss() - start)
        dither[lap * mmap.PAGESIZE] = 1
        if time.perf_counter() >= end:
            break
    return {"peak_memory": statistics.fmean(peaks)}


def measure_peak_allocated(region: Callable[[], Any]) -> dict[str, float]:
    """Run a region under torch's profiler, and return the most that its allocator had live at once, in bytes.

    It sees what the resident set cannot, blocks that were never written to. It does not see memory that other
    libraries allocate themselves.
    """
    gc.collect()  # what is freed within the region, and was there before, would be taken off its peak
    with open_profiler(profile_memory=True) as profile:
        region()
    results: Any = profile.kineto_results
    changes = [(e.start_ns(), e.nbytes()) for e in results.events() if e.name() == "[memory]"]
    live = peak = 0
    for _, change in sorted(changes, key=lambda item: item[0]):
        live += change
        peak = max(peak, live)
    return {"peak_allocated": float(peak)}


def _max_rss() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
