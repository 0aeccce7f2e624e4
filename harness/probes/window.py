"""Energy of steps and of idleness, from any meter that adds up joules, with an uncertainty that is a bound.

A meter moves in ticks of T seconds. A window of W seconds is read in one of two ways.

**Aligned**, for a counter and steps shorter than T: the window begins and ends on a tick. Each tick is known to lie
between two readings, 2h apart, the second of which had moved. The half width of the result, relative to it, is

    (h_begin + h_end + jitter + reading) / W  +  2 resolution / joules  +  2.5 scatter / sqrt(groups)

where jitter is how far ticks stray from their period beyond what the readings explain; reading is the time for which
the work had to wait for the meter, at a power that is not known (none where steps are queued on a device); and scatter
is that of the power of groups of ticks: a sensor that looks at a part of each tick only, at a load that is not even,
shows by it. Readings are between steps, so that what a step draws when, and where in it the tick falls, is within h.

**Unaligned**, for power that is polled and for steps longer than T: the window begins and ends between steps, and
each end may miss up to a tick, at up to twice the mean power: 2 T takes the place of h_begin + h_end.

W is chosen so that the half width is at most what was wanted, and is at least 20 ticks.
"""

from __future__ import annotations

import contextlib
import math
import random
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from harness.core.metric import format_value
from harness.probes.meter import INTEGRATED, MEASURED, Meter, MeterError, Reason, Tick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    # Runs steps for about so many seconds, at least one, and returns how many have ended since it returned last. Where
    # steps run on a device, some more are queued when it returns, so that the device does not wait for a reading.
    Work = Callable[[float], int]

_LEAST_TICKS = 20
# Ticks shorter than this are not looked for: an unaligned window of a second is good to 1 % then.
_SHORT_TICK_S = 5e-3
_POLLS_PER_TICK, _LEAST_POLL_S = 20, 2e-3
_UNALIGNED_POLL_S = 50e-3
_PATIENCE_S = 3.0
# A window ends when it looks precise enough: 2 hold the truth in 95 of 100 windows at best, 2.5 in 98 (simulated).
_SIGMAS = 2.5


@dataclass(frozen=True)
class Window:
    """What was read between two moments; ``uncertainty`` is a half width relative to the joules a second.

    Attributes:
        ticks: how many edges were seen after the first.
        steps: how many steps ended in it, and ``step_s`` what one took.
        disagreement: by how much a second meter's power differs, relative to this one's; None without one.
    """

    seconds: float
    joules: float
    ticks: int
    steps: int
    step_s: float
    uncertainty: float
    disagreement: float | None

    @property
    def watts(self) -> float:
        """The mean power."""
        return self.joules / self.seconds


@dataclass(frozen=True)
class _MeterReading:
    """A reading of the meter, which was between two moments, and what had been done before it."""

    before_s: float
    after_s: float
    joules: float
    steps: int = 0
    work_s: float = 0.0
    check_j: float | None = None


@dataclass(frozen=True)
class _Edge:
    at_s: float
    half_s: float
    reading: _MeterReading


@dataclass(frozen=True)
class _Plan:
    aligned: bool
    poll_s: float
    needed_s: float


class Gauge:
    """A meter whose tick is known, ready to read windows.

    Args:
        tick: as found by an earlier gauge on the same device, to save the second or so that it takes.
        check: a second meter of the same thing, to hold against the first.
        queued: whether steps go on in the device while the meter is read, so that the reading takes none of their time.
        seed: of the pauses before windows.
    """

    def __init__(
        self,
        meter: Meter,
        tick: Tick | None = None,
        check: Meter | None = None,
        queued: bool = False,
        seed: int | None = None,
        now: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.meter = meter
        self._check, self._queued = check, queued
        self._random = random.Random(seed)
        self._now, self._sleep = now, sleep
        known = None if meter.tick_s is None else Tick(meter.tick_s, 0.0)
        self.tick = tick or known or measure_tick(meter, now, sleep)

    def window(self, work: Work, wanted: float, limit_s: float) -> Window:
        """Run the work for as long as the wanted relative uncertainty takes; raises MeterError.

        Refuses beforehand where the limit cannot suffice, and afterwards where it did not.
        """
        plan = self._plan(self._lead_in(work), wanted)
        if plan.needed_s > limit_s:
            raise self._too_short(limit_s, plan.needed_s, wanted)
        edges, needed_s = list[_Edge](), plan.needed_s
        for edge in self._edges(work, plan):
            edges.append(edge)
            seconds = edge.at_s - edges[0].at_s
            if seconds < needed_s:
                continue
            window = self._derive(edges, plan)
            if window.uncertainty <= wanted:
                return window
            needed_s = seconds * max(1.25, window.uncertainty / wanted)
            if needed_s > limit_s:
                raise self._too_short(seconds, needed_s, wanted, f", good to {100 * window.uncertainty:.2g} %")
        raise AssertionError("edges do not end")

    def rest(self, seconds: float) -> int:
        """Do nothing; the work of an idle window."""
        self._sleep(seconds)
        return 0

    def _lead_in(self, work: Work) -> float:
        """Run the work until the meter shows it alone, and return the seconds of a step, 0 where nothing ends.

        The pause before it gives the work a random phase against the sensor. One that looks at a part of each tick sees
        a loop whose period divides its own at one place all window long, and a single window cannot tell: the mean of
        several windows is right, and their spread shows it.
        """
        self._sleep(self._random.uniform(0, self.tick.period_s))
        started = now = self._now()
        end, steps = started + max(self.meter.settle_s, self.tick.period_s), 0
        while now < end:
            steps += work(self.tick.period_s / _POLLS_PER_TICK)
            now = self._now()
        return (now - started) / steps if steps else 0.0

    def _plan(self, step_s: float, wanted: float) -> _Plan:
        """Choose how edges are found, and how long the window has to be."""
        period_s = self.tick.period_s
        aligned = self.meter.provenance == MEASURED and period_s >= _SHORT_TICK_S and step_s < period_s
        poll_s = max(period_s / _POLLS_PER_TICK, _LEAST_POLL_S) if aligned else max(period_s, _UNALIGNED_POLL_S)
        # Half as much again, for what readings and pauses take beyond their due.
        edges_s = 1.5 * max(poll_s, step_s) if aligned else 2 * period_s
        needed_s = max(_LEAST_TICKS * period_s, (edges_s + self.tick.jitter_s) / wanted)
        return _Plan(aligned, poll_s, needed_s)

    def _edges(self, work: Work, plan: _Plan) -> Iterator[_Edge]:
        """Run the work between readings, and yield the moments at which a window may begin or end."""
        reading, moved_s = self._read(), self._now()
        while True:
            started_s, previous = self._now(), reading
            steps = previous.steps + work(plan.poll_s)
            reading = self._read(steps, previous.work_s + self._now() - started_s)
            if edge := _edge(self.meter, previous, reading):
                moved_s = reading.after_s
            elif reading.after_s - moved_s > _PATIENCE_S:
                raise MeterError(Reason.NO_TICK, f"{self.meter.name} did not move for {_PATIENCE_S:g} s")
            if not plan.aligned:
                yield _Edge((reading.before_s + reading.after_s) / 2, self.tick.period_s, reading)
            elif edge:
                yield edge

    def _read(self, steps: int = 0, work_s: float = 0.0) -> _MeterReading:
        before_s = self._now()
        joules = self.meter.read()
        after_s = self._now()
        check_j = None
        if self._check:
            with contextlib.suppress(MeterError):
                check_j = self._check.read()
        return _MeterReading(before_s, after_s, joules, steps, work_s, check_j)

    def _derive(self, edges: Sequence[_Edge], plan: _Plan) -> Window:
        first, last = edges[0], edges[-1]
        begin, end = first.reading, last.reading
        seconds, joules, steps = last.at_s - first.at_s, end.joules - begin.joules, end.steps - begin.steps
        if joules <= 0:
            raise MeterError(Reason.NO_TICK, f"{self.meter.name} did not move in {format_value(seconds, 's')}")
        ends_s = first.half_s + last.half_s + self.tick.jitter_s
        between_s = end.before_s - begin.before_s
        busy_s = between_s if self._queued else end.work_s - begin.work_s
        uncertainty = (ends_s + between_s - busy_s) / seconds + 2 * self.meter.resolution_j / joules
        if plan.aligned or self.meter.provenance == INTEGRATED:
            uncertainty += _standard_error(edges, self.tick.period_s, plan.aligned)
        disagreement = None
        if begin.check_j is not None and end.check_j is not None:
            watts = (end.check_j - begin.check_j) / (end.after_s - begin.after_s)
            disagreement = abs(watts * seconds / joules - 1)
        step_s = busy_s / steps if steps else 0.0
        return Window(seconds, joules, len(edges) - 1, steps, step_s, uncertainty, disagreement)

    def _too_short(self, seconds: float, needed_s: float, wanted: float, found: str = "") -> MeterError:
        ticks = seconds / self.tick.period_s
        text = f"a window of {format_value(seconds, 's')} is {ticks:.3g} ticks of {self.meter.name}{found}; "
        return MeterError(Reason.TOO_SHORT, f"{text}{100 * wanted:g} % needs at least {format_value(needed_s, 's')}")


def measure_tick(meter: Meter, now: Callable[[], float], sleep: Callable[[float], None]) -> Tick:
    """Watch a counter for a dozen ticks, or three seconds; raises MeterError where it hardly moves.

    A tick shorter than a pause between readings (a millisecond) is taken to be as long as that.
    """
    edges, end = list[_Edge](), now() + _PATIENCE_S
    reading = _MeterReading(now(), now(), meter.read())
    while len(edges) < 13 and reading.after_s < end:
        sleep(1e-3)
        previous, before_s = reading, now()
        reading = _MeterReading(before_s, joules=meter.read(), after_s=now())
        if edge := _edge(meter, previous, reading):
            edges.append(edge)
    if len(edges) < 4:
        raise MeterError(Reason.NO_TICK, f"{meter.name} moved {len(edges)} times in {_PATIENCE_S:g} s")
    period_s = statistics.median(b.at_s - a.at_s for a, b in pairwise(edges))
    strayed = (abs(b.at_s - a.at_s - period_s) - a.half_s - b.half_s for a, b in pairwise(edges))
    return Tick(period_s, max(0.0, *strayed))


def _edge(meter: Meter, previous: _MeterReading, reading: _MeterReading) -> _Edge | None:
    """Return the tick between two readings, if there was one; raises MeterError where the counter fell."""
    if reading.joules < previous.joules:
        fall = format_value(previous.joules - reading.joules, "J")
        raise MeterError(Reason.WENT_BACKWARDS, f"{meter.name} went backwards by {fall}")
    if reading.joules == previous.joules:
        return None
    begin, end = previous.before_s, reading.after_s
    return _Edge((begin + end) / 2, (end - begin) / 2, reading)


def _standard_error(edges: Sequence[_Edge], period_s: float, aligned: bool) -> float:
    """Return 2.5 standard errors of the power, relative to it, from the ticks that were seen well.

    The energy of a tick is over a whole number of periods: when each of them was seen does not matter. Twenty groups
    of ticks tell it, because what one tick lacks of a step the next one has; and the differences of neighbours, so
    that a slow drift, which the meter follows, does not count.
    """
    watts, last = list[float](), edges[0]
    for edge in edges[1:]:
        periods = (edge.at_s - last.at_s) / period_s
        if periods < 0.75 or (aligned and edge.half_s > period_s / 4):
            continue
        periods = round(periods) if aligned else periods
        watts.append((edge.reading.joules - last.reading.joules) / periods)
        last = edge
    if len(watts) < 3 or max(watts) <= 0:
        return 0.0
    size = max(1, len(watts) // _LEAST_TICKS)
    groups = [statistics.fmean(watts[start : start + size]) for start in range(0, len(watts) - size + 1, size)]
    variance = statistics.fmean((b - a) ** 2 for a, b in pairwise(groups)) / 2
    return _SIGMAS * math.sqrt(variance / len(groups)) / statistics.fmean(watts)
