"""Peak memory of the host: what the kernel saw resident, and what torch's allocator handed out."""

from __future__ import annotations

import ctypes
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

# mallopt(3): blocks of at least 64 KiB come from mmap and go back to the kernel when freed. Otherwise a warm heap
# serves a step from memory that is resident already, and the step seems to need none.
_M_MMAP_THRESHOLD, _THRESHOLD = -3, 1 << 16


class HostMemory:
    """Growth of the resident set to its peak (``VmHWM``), of this process alone.

    The kernel batches its count of resident pages by core, which hides up to 32 pages a core from the peak. A
    region that repeats its steps meets a moment at which the batches are flushed (see the memory pass).
    """

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None)
        self._libc.mallopt(_M_MMAP_THRESHOLD, _THRESHOLD)
        self._start = 0

    def start(self) -> None:
        """Give freed memory back, reset the peak, and read where it starts."""
        gc.collect()
        self._libc.malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
        self._start = _status("VmRSS")

    def stop(self) -> dict[str, float]:
        """Return ``peak_memory`` in bytes."""
        return {"peak_memory": float(max(0, _status("VmHWM") - self._start))}


def peak_allocated(step: Callable[[], Any]) -> dict[str, float]:
    """Run a step under torch's profiler, and return the most that its allocator had live at once, in bytes.

    It sees what the resident set cannot: blocks served from memory that was resident already. It does not see
    memory that other libraries allocate themselves.
    """
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    results: Any = profile.profiler
    changes = [(e.start_ns(), e.nbytes()) for e in results.kineto_results.events() if e.name() == "[memory]"]
    live = peak = 0
    for _, change in sorted(changes, key=lambda item: item[0]):
        live += change
        peak = max(peak, live)
    return {"peak_allocated": float(peak)}


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0
