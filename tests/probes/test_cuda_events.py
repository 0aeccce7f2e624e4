"""The CUDA clock on a scripted timeline: a host, a device, and a queue between them; no GPU is needed."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from harness.core.flag import Flag
from harness.probes import cuda_events
from harness.probes.cuda_events import CudaClock

QUEUE = 1024
# What a launch and an event cost the host, and a flush the device.
LAUNCH_S, EVENT_S, FLUSH_S = 3e-6, 1.5e-6, 20e-6
LEAST_SPIN_S, MOST_SPIN_S = 100e-6, 20e-3
SAMPLES, SETTLED = 40, 10

Step = Callable[["Timeline"], None]


class Timeline:
    """A host and a device; the host waits where the queue between them is full.

    Attributes:
        now: the host's clock, in seconds.
        spins: for how long the device was blocked, sample by sample.
    """

    def __init__(self) -> None:
        self.now, self._idle_at, self._ends = 0.0, 0.0, [0.0]
        self.spins: list[float] = []

    def enqueue(self, device_s: float, host_s: float = LAUNCH_S) -> float:
        """Let the device do something after all else, and return when it has."""
        self.now += host_s
        if len(self._ends) >= QUEUE:
            self.now = max(self.now, self._ends[-QUEUE])
        self._idle_at = max(self._idle_at, self.now) + device_s
        self._ends.append(self._idle_at)
        return self._idle_at

    def launch(self, device_s: float) -> None:
        self.enqueue(device_s)

    def wait(self, *_: Any) -> None:
        self.now = max(self.now, self._idle_at)

    def think(self, seconds: float) -> None:
        self.now += seconds

    def spin(self, cycles: int) -> None:
        self.spins.append(cycles / 2e9)
        self.enqueue(cycles / 2e9)

    @property
    def torch(self) -> Any:
        """What the clock uses of torch."""
        line = self

        class Event:
            at = 0.0

            def __init__(self, enable_timing: bool) -> None:
                assert enable_timing

            def record(self) -> None:
                self.at = line.enqueue(0.0, EVENT_S)

            def query(self) -> bool:
                return self.at <= line.now

            def synchronize(self) -> None:
                line.now = max(line.now, self.at)

            def elapsed_time(self, end: Event) -> float:
                return 1e3 * (end.at - self.at)

        cuda = SimpleNamespace(
            Event=Event,
            _sleep=self.spin,
            synchronize=self.wait,
            get_device_properties=lambda device: SimpleNamespace(L2_cache_size=1 << 20),
        )
        flushed = SimpleNamespace(zero_=lambda: self.launch(FLUSH_S))
        return SimpleNamespace(cuda=cuda, device=str, int8=None, empty=lambda *_, **__: flushed)


def launches(number: int, device_s: float) -> Step:
    def step(line: Timeline) -> None:
        for _ in range(number):
            line.launch(device_s)

    return step


def item(line: Timeline) -> None:
    """Wait for the device, as `.item()` does, between two kernels."""
    line.launch(200e-6)
    line.wait()
    line.launch(10e-6)


def slow_host(line: Timeline) -> None:
    """Take longer on the host than the longest spin."""
    line.think(30e-3)
    line.launch(50e-6)
    line.launch(50e-6)


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Timeline:
    line = Timeline()
    monkeypatch.setattr(cuda_events, "torch", line.torch)
    monkeypatch.setattr(cuda_events, "time", SimpleNamespace(perf_counter=lambda: line.now))
    return line


def host_need(step: Step) -> float:
    """Return what a step takes of the host's time while nothing holds the device."""
    line = Timeline()
    step(line)
    return line.now


def sampled(line: Timeline, step: Step, mode: str = "cold", block: int = 1) -> list[tuple[dict[str, float], str]]:
    clock = CudaClock("cuda:0", mode)
    return [clock.sample(lambda: step(line), block) for _ in range(SAMPLES)]


HIDDEN = {
    "one kernel": (launches(1, 50e-6), 50e-6),
    "many short kernels": (launches(100, 1e-6), 100e-6),
    "as many as the queue holds": (launches(1000, 2e-6), 2e-3),
    "a host that thinks": (lambda line: [line.think(1e-3), line.launch(20e-6)], 20e-6),
}
EXPOSED = {
    "item": item,
    "more than the queue holds": launches(1500, 2e-6),
    "slow host": slow_host,
}


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("mode", ["cold", "hot"])
def test_gaps_between_launches_are_hidden(line: Timeline, name: str, mode: str) -> None:
    step, device_s = HIDDEN[name]
    found = sampled(line, step, mode)[SETTLED:]
    assert [values["time"] for values, _ in found] == pytest.approx([device_s] * len(found), rel=1e-6)
    assert {flags for _, flags in found} == {()}


def test_a_larger_block_is_hidden_from_its_first_sample_on(line: Timeline) -> None:
    clock, step = CudaClock("cuda:0", "hot"), launches(10, 1e-6)
    found = [clock.sample(lambda: step(line), block) for block in (1, 1, 80, 80)]
    assert [values["time"] for values, _ in found[1:]] == pytest.approx([10e-6] * 3, rel=1e-6)
    assert [flags for _, flags in found[1:]] == [(), (), ()]


@pytest.mark.parametrize("name", EXPOSED)
def test_what_cannot_be_hidden_is_flagged(line: Timeline, name: str) -> None:
    found = sampled(line, EXPOSED[name])
    assert {flags for _, flags in found[SETTLED:]} == {(Flag.EXPOSED,)}


@pytest.mark.parametrize("name", [*HIDDEN, *EXPOSED])
def test_the_host_time_is_what_the_calls_take(line: Timeline, name: str) -> None:
    step = EXPOSED[name] if name in EXPOSED else HIDDEN[name][0]
    found = sampled(line, step)[SETTLED:]
    assert [values["host_time"] for values, _ in found] == pytest.approx([host_need(step)] * len(found), rel=0.05)


@pytest.mark.parametrize("name", [*HIDDEN, *EXPOSED])
def test_the_device_is_not_held_for_longer_than_needed(line: Timeline, name: str) -> None:
    step = EXPOSED[name] if name in EXPOSED else HIDDEN[name][0]
    sampled(line, step)
    assert max(line.spins) <= max(3 * host_need(step), LEAST_SPIN_S)
    assert max(line.spins) <= MOST_SPIN_S


def test_a_host_that_is_held_up_once_is_flagged_once(line: Timeline) -> None:
    pauses_s = [0.0] * SAMPLES
    pauses_s[25] = 50e-3
    pauses = iter(pauses_s)

    def step(line: Timeline) -> None:
        line.launch(5e-6)
        line.think(next(pauses))
        line.launch(5e-6)

    found = sampled(line, step)[SETTLED:]
    assert [flags for _, flags in found] == [(Flag.EXPOSED,) if pause else () for pause in pauses_s[SETTLED:]]


def test_a_host_that_is_slower_from_now_on_is_hidden_again(line: Timeline) -> None:
    pauses = iter([0.0] * 20 + [1e-3] * 20)

    def step(line: Timeline) -> None:
        line.launch(5e-6)
        line.think(next(pauses))
        line.launch(5e-6)

    found = sampled(line, step)
    assert [flags for _, flags in found[-10:]] == [()] * 10
    assert [values["time"] for values, _ in found[-10:]] == pytest.approx([10e-6] * 10)
