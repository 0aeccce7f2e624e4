"""CUDA events around steps: the time that the device took, not the time that the host waited."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from harness.core.flag import Flag
from harness.core.suite import Mode

if TYPE_CHECKING:
    from collections.abc import Callable

# Events tick at about half a microsecond.
_LEAST_S = 500e-6
# The stream is blocked for twice the time that the host needs to enqueue, within these bounds.
_SPIN_S = (50e-6, 10e-3)
_CYCLES_PER_S = 2e9
# Samples in a row that began too early: after so many the time is learnt anew, after so many nothing can be hidden.
_LEARN, _GIVE_UP = 2, 3
# Work that goes on this long after the last event, relative to the step, ran on a stream of its own.
_TAIL_SHARE, _TAIL_S = 0.5, 50e-6


class CudaClock:
    """Times steps on the current stream.

    Modes: ``cold`` writes a buffer larger than L2 before each step; ``hot`` leaves the caches as the last step
    left them; ``graph`` replays the step as a CUDA graph, cold; ``host`` is the wall time from the call until the
    device is idle. Except in the last, the stream is kept busy until the host has enqueued everything, so that
    gaps between launches are not part of the time. A step that waits for the device, or fills its queue, would wait
    for that too, and is timed without. A sample that began on the device before all of it was enqueued has the flag
    ``exposed``: the host's time may be part of its time.
    """

    def __init__(self, device: str, mode: Mode) -> None:
        self._mode = mode
        self._device = torch.device(device)
        l2 = torch.cuda.get_device_properties(self._device).L2_cache_size
        self._flush = torch.empty(max(2 * l2, 1 << 20), dtype=torch.int8, device=self._device)
        self._graphs: dict[Any, torch.cuda.CUDAGraph] = {}
        # What the host needs for a step, None where it is to be learnt from a sample without a spin.
        self._need_s: float | None = None
        self._early = 0
        self.least_s = _LEAST_S if mode in (Mode.HOT, Mode.HOST) else 0.0
        self.largest_block = 1 << 16 if mode in (Mode.HOT, Mode.HOST) else 1

    def sample(self, step: Callable[[], Any], block: int) -> tuple[dict[str, float], tuple[Flag, ...]]:
        """Run ``block`` steps; see :class:`harness.probes.Clock`. ``host_time`` is what the call itself took."""
        if self._mode == Mode.HOST:
            return self._host_sample(step, block)
        call = self._graph(step).replay if self._mode == Mode.GRAPH else step
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize(self._device)
        if self._mode != Mode.HOT:
            self._flush.zero_()
        if spin_s := self._spin_s(block):
            torch.cuda._sleep(int(spin_s * _CYCLES_PER_S))
        else:
            torch.cuda.synchronize(self._device)  # so that a step which waits does not wait for the flush as well
        begin.record()
        started = time.perf_counter()
        for _ in range(block):
            call()
        enqueue_s = time.perf_counter() - started
        end.record()
        hidden = not begin.query()
        end.synchronize()
        ended = time.perf_counter()
        torch.cuda.synchronize(self._device)
        tail_s = time.perf_counter() - ended
        self._learn(enqueue_s / block, hidden=hidden, spun=spin_s > 0)
        total_s = begin.elapsed_time(end) * 1e-3
        flags = {
            Flag.EXPOSED: not hidden,
            Flag.SIDE_STREAM: tail_s > _TAIL_SHARE * total_s + _TAIL_S,
            # The device cannot have been busy for longer than the host waited for it.
            Flag.CLOCKS_DISAGREE: total_s > ended - started + _TAIL_S,
        }
        values = {"time": total_s / block, "host_time": enqueue_s / block}
        return values, tuple(flag for flag, raised in flags.items() if raised)

    def _spin_s(self, block: int) -> float:
        """Return for how long to block the stream: 0 where that would hide nothing, or is to be found out."""
        if self._need_s is None or self._early >= _GIVE_UP:
            return 0.0
        least, most = _SPIN_S
        return 2 * min(max(self._need_s * block, least), most)

    def _learn(self, enqueue_s: float, *, hidden: bool, spun: bool) -> None:
        """Learn what the host needs for a step; a spin that the host waited for is in what was read, and tells nothing.

        One sample that began too early is a host that was held up. Two may be a step that takes longer than it did, and
        one more after its time was learnt anew is a step that waits.
        """
        if hidden or not spun:
            self._need_s = enqueue_s
        if hidden:
            self._early = 0
        elif spun:
            self._early += 1
            self._need_s = None if self._early == _LEARN else self._need_s

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
