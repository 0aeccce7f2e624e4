"""What a step really ran: the operators and kernels, and the settings that decide what they compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from harness.probes.profiler import open_profiler

if TYPE_CHECKING:
    from collections.abc import Callable

_MOST = 20


def record_executed(step: Callable[[], Any], device: str) -> tuple[str, ...]:
    """Return the names of the operators and kernels of one step under torch's profiler, the longest first."""
    with open_profiler(device) as profile:
        step()
        if device.startswith("cuda"):
            torch.cuda.synchronize(device)
    events = sorted(profile.key_averages(), key=lambda event: -event.self_device_time_total - event.self_cpu_time_total)
    return tuple(event.key for event in events)


def shorten_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names that took the most time, as many as are worth keeping."""
    return names[:_MOST]


def read_settings() -> dict[str, Any]:
    """Return torch's settings that decide what is computed."""
    return {
        "matmul_precision": torch.get_float32_matmul_precision(),
        "cuda_matmul_allow_tf32": torch.backends.cuda.matmul.allow_tf32,
        "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "default_dtype": str(torch.get_default_dtype()),
    }
