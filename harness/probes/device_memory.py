"""Peak memory of a CUDA device: three different quantities, reported apart and never added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable


def measure_device_peaks(device: str, region: Callable[[], Any]) -> dict[str, float]:
    """Run a region, and return the growth of the allocator's live blocks, of what it holds, and of the used memory.

    The first two miss the context and what other libraries allocate; the last sees everything, other processes
    included. Bytes.
    """
    torch.cuda.synchronize(device)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)
    allocated, reserved = torch.cuda.memory_allocated(device), torch.cuda.memory_reserved(device)
    used = _used(device)
    region()
    torch.cuda.synchronize(device)
    return {
        "device_peak_allocated": float(torch.cuda.max_memory_allocated(device) - allocated),
        "device_peak_reserved": float(torch.cuda.max_memory_reserved(device) - reserved),
        "device_used_delta": float(max(0, _used(device) - used)),
    }


def _used(device: str) -> int:
    free, total = torch.cuda.mem_get_info(device)
    return total - free
