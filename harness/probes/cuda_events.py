"""CUDA events around steps: the time that the device took, not the time that the host waited."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from harness.core.flag import Flag

if TYPE_CHECKING:
    from collections.abc import Callable

# Events tick at about half a microsecond.
_LEAST_S = 500e-6
# The stream is blocked for twice the time that the host needs to enqueue, within these bounds.
_SPIN_S = (50e-6, 10e-3)
_CYCLES_PER_S = 2e9
# Work that goes on this long after the last event, relative to the step, ran on a stream of its own.
_TAIL_SHARE, _TAIL_S = 0.5, 50e-6


class CudaClock:
    """Times steps on the current stream.

    Modes: ``cold`` writes a buffer larger than L2 before each step; ``hot`` leaves the caches as the last step
    left them; ``graph`` replays the step as a CUDA graph, cold; ``host`` is the wall time from the call until the
    device is idle. Except in the last, the stream is kept busy until the host has enqueued everything, so that
    gaps between launches are not part of the time.
    """

    def __init__(self, device: str, mode: str) -> None:
        self._mode = mode
        self._device = torch.device(device)
        l2 = torch.cuda.get_device_properties(self._device).L2_cache_size
        self._flush = torch.empty(max(2 * l2, 1 << 20), dtype=torch.int8, device=self._device)
        self._graphs: dict[Any, torch.cuda.CUDAGraph] = {}
        self._enqueue_s = _SPIN_S[0]
        self.least_s = _LEAST_S if mode in ("hot", "host") else 0.0
        self.largest_block = 1 << 16 if mode in ("hot", "host") else 1

    def sample(self, step: Callable[[], Any], block: int) -> tuple[dict[str, float], tuple[Flag, ...]]:
        """Run ``block`` steps; see :class:`harness.probes.Clock`. ``host_time`` is what the call itself took."""
        if self._mode == "host":
            return self._host_sample(step, block)
        call = self._graph(step).replay if self._mode == "graph" else step
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self._device)
        if self._mode != "hot":
            self._flush.zero_()
        torch.cuda._sleep(int(2 * self._enqueue_s * _CYCLES_PER_S))
        started = time.perf_counter()
        begin.record()
        for _ in range(block):
            call()
        end.record()
        enqueue_s = time.perf_counter() - started
        end.synchronize()
        ended = time.perf_counter()
        torch.cuda.synchronize(self._device)
        tail_s = time.perf_counter() - ended
        self._enqueue_s = min(max(enqueue_s, _SPIN_S[0]), _SPIN_S[1])
        total_s = begin.elapsed_time(end) * 1e-3
        flags = {
            Flag.SIDE_STREAM: tail_s > _TAIL_SHARE * total_s + _TAIL_S,
            # The device cannot have been busy for longer than the host waited for it.
            Flag.CLOCKS_DISAGREE: total_s > ended - started + _TAIL_S,
        }
        values = {"time": total_s / block, "host_time": enqueue_s / block}
        return values, tuple(flag for flag, raised in flags.items() if raised)

    def _host_sample(self, step: Callable[[], Any], block: int) -> tuple[dict[str, float], tuple[Flag, ...]]:
        torch.cuda.synchronize(self._device)
        started = time.perf_counter()
        for _ in range(block):
            step()
        enqueue_s = time.perf_counter() - started
        torch.cuda.synchronize(self._device)
        return {"time": (time.perf_counter() - started) / block, "host_time": enqueue_s / block}, ()

    def _graph(self, step: Callable[[], Any]) -> torch.cuda.CUDAGraph:
        """Capture the step once, after a run on a side stream as capture demands."""
        if step not in self._graphs:
            side = torch.cuda.Stream(self._device)
            side.wait_stream(torch.cuda.current_stream(self._device))
            with torch.cuda.stream(side):
                step()
            torch.cuda.current_stream(self._device).wait_stream(side)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                step()
            self._graphs[step] = graph
        return self._graphs[step]
