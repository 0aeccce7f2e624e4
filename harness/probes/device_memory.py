"""Peak memory of a CUDA device: three different quantities, reported apart and never added."""

from __future__ import annotations

import torch


class DeviceMemory:
    """Growth, since the start, of the allocator's live blocks, of what it holds, and of the device's used memory.

    The first two miss the context and what other libraries allocate; the last sees everything, other processes
    included.
    """

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)
        self._allocated = self._reserved = self._used = 0

    def start(self) -> None:
        """Empty the allocator's cache, reset its peaks, and read where everything starts."""
        torch.cuda.synchronize(self._device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)
        self._allocated = torch.cuda.memory_allocated(self._device)
        self._reserved = torch.cuda.memory_reserved(self._device)
        self._used = self._device_used()

    def stop(self) -> dict[str, float]:
        """Return the three growths in bytes."""
        torch.cuda.synchronize(self._device)
        return {
            "device_peak_allocated": float(torch.cuda.max_memory_allocated(self._device) - self._allocated),
            "device_peak_reserved": float(torch.cuda.max_memory_reserved(self._device) - self._reserved),
            "device_used_delta": float(max(0, self._device_used() - self._used)),
        }

    def _device_used(self) -> int:
        free, total = torch.cuda.mem_get_info(self._device)
        return total - free
