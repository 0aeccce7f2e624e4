"""A slowdown that is planted on purpose: a gate that cannot find it is no gate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from harness.core.workload import Step

_CYCLES = 1_000_000


def slow_down(step: Step, share: float, device: str) -> Step:
    """Return a step that does the same and takes longer, by a share of its own time.

    On the CPU each call is followed by a wait on the clock. On CUDA a kernel that idles follows on the same stream; its
    length comes from the time of the step when it was planted.
    """
    return _on_cuda(step, share) if device.startswith("cuda") else _on_cpu(step, share)


def _on_cpu(step: Step, share: float) -> Step:
    def slow() -> Any:
        started = time.perf_counter()
        output = step()
        end = time.perf_counter()
        end += (end - started) * share
        while time.perf_counter() < end:
            pass
        return output

    return slow


def _on_cuda(step: Step, share: float) -> Step:
    step()
    cycles = int(_CYCLES * share * _seconds(step) / _seconds(lambda: torch.cuda._sleep(_CYCLES)))

    def slow() -> Any:
        output = step()
        torch.cuda._sleep(cycles)
        return output

    return slow


def _seconds(step: Step) -> float:
    """Time a step on the device, over enough of them to tell."""
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    first.record()
    for _ in range(10):
        step()
    last.record()
    last.synchronize()
    return float(first.elapsed_time(last)) / 1e4
