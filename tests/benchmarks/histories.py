"""Prints how well changes are found in simulated series, and what the search costs.

``python -m tests.benchmarks.histories``, or with the names of parts. Each line is over 1000 seeds: ``found`` is the
share of series in which every true change has one within so many points of it, ``more`` the share with more changes
than are true. Nothing is asserted.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from harness.analysis.change_points import CHANGED, DRIFT, SeriesChange, find_changes

SEEDS, POINTS = 1000, 100
Source = np.random.Generator
Floats = np.ndarray


def noise(source: Source, points: int = POINTS) -> Floats:
    """Draw 2 % of normal noise about one."""
    return np.exp(source.normal(0, 0.02, points))


def spiked(source: Source, values: Floats) -> Floats:
    """Raise one point in 20 by 20 to 50 %."""
    return values * np.where(source.random(len(values)) < 0.05, 1 + source.uniform(0.2, 0.5, len(values)), 1)


def two_modes(source: Source) -> Floats:
    """Draw each point from one of two levels 3 % apart, with 0.5 % noise."""
    return np.exp(source.normal(0, 0.005, POINTS)) * np.where(source.random(POINTS) < 0.5, 1.0, 1.03)


def correlated(source: Source) -> Floats:
    """Draw 2 % noise in which each point keeps 0.3 of the one before."""
    logs = source.normal(0, 0.02, POINTS)
    for index in range(1, POINTS):
        logs[index] = 0.3 * logs[index - 1] + logs[index] * (1 - 0.3**2) ** 0.5
    return np.exp(logs)


def stepped(values: Floats, *steps: tuple[int, float]) -> Floats:
    """Multiply all points from a place on, for each step."""
    for place, size in steps:
        values = np.where(np.arange(len(values)) < place, values, values * (1 + size))
    return values


def no_change() -> None:
    """Series without a change: 100 points, 2 % noise."""
    _print("noise", noise)
    _print("5 % spikes of +20 to 50 %", lambda source: spiked(source, noise(source)))
    _print("two modes 3 % apart", two_modes)
    _print("neighbours correlated by 0.3", correlated)
    for points in (12, 20, 50, 400):
        _print(f"noise, {points} points", lambda source, points=points: noise(source, points))


def one_step() -> None:
    """One step, anywhere in the middle 60 of 100 points unless a place is given."""
    for size in (0.02, 0.03, 0.05, 0.1):
        _print(f"step of {size:.0%}", *_anywhere(size))
    make, place = _anywhere(0.05)
    _print("step of 5%, 5 % spikes", lambda source: spiked(source, make(source)), place)
    for since in (10, 5, 3):
        place = POINTS - since
        _print(f"step of 5%, {since} points ago", lambda source, p=place: stepped(noise(source), (p, 0.05)), place)
    for points in (12, 20, 30):
        middle = points // 2
        _print(
            f"step of 10%, {points} points", lambda s, n=points, m=middle: stepped(noise(s, n), (m, 0.1)), points // 2
        )


def more_steps() -> None:
    """Several steps of 100 points, and steps that are taken back."""
    _print("+5 %, +8 %, -6 %", lambda s: stepped(noise(s), (25, 0.05), (50, 0.08), (75, -0.06)), 25, 50, 75)
    _print("+5 % three times", lambda s: stepped(noise(s), (25, 0.05), (50, 0.05), (75, 0.05)), 25, 50, 75)
    for stay in (8, 10, 20, 40):
        back = 40 + stay
        _print(
            f"+5 % for {stay} points",
            lambda s, back=back: stepped(noise(s), (40, 0.05), (back, -0.05 / 1.05)),
            40,
            back,
        )


def drifts() -> None:
    """Slow drifts over 100 points."""
    for size in (0.03, 0.05, 0.1, 0.2):
        _print(f"drift of {size:.0%}", lambda source, size=size: noise(source) * np.linspace(1, 1 + size, POINTS))
    _print("drift of 10%, 5 % spikes", lambda source: spiked(source, noise(source) * np.linspace(1, 1.1, POINTS)))


def intervals() -> None:
    """How often the truth lies in the interval of the size and in the range of places, and how wide those are."""
    for size in (0.025, 0.05, 0.1):
        make, place = _anywhere(size)
        found = [(f.changes[0], seed) for seed, f in enumerate(_findings(make)) if f.label == CHANGED]
        sizes = [change.ci_low <= size <= change.ci_high for change, _ in found]
        places = [change.before < place(seed) <= change.after for change, seed in found]
        points = [change.after - change.before for change, _ in found]
        print(f"step of {size:5.1%}: size {np.mean(sizes):.1%}, place {np.mean(places):.1%}", end="")
        print(f"; median range {np.median(points):.0f} points")


def cost() -> None:
    """The first series of a process, one of 100 points, and ten thousand."""
    code = (
        "import time, numpy as np\nfrom harness.analysis.change_points import find_changes\n"
        "values = np.exp(np.random.default_rng(0).normal(0, 0.02, 100) + 0.05 * (np.arange(100) > 50))\n"
        "started = time.perf_counter()\nfind_changes(values)\nprint(time.perf_counter() - started)"
    )
    first = float(subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True).stdout)
    print(f"first in a process, critical values drawn: {1e3 * first:.0f} ms")
    for name, make in (("no change", noise), ("one step", _anywhere(0.05)[0])):
        series = [make(np.random.default_rng(seed)) for seed in range(500)]
        times = sorted(_seconds(values) for values in series)
        print(f"{name}: median {1e3 * times[250]:.2f} ms, 99 % within {1e3 * times[495]:.2f} ms")
    kinds = (noise, two_modes, _anywhere(0.05)[0], lambda source: noise(source) * np.linspace(1, 1.1, POINTS))
    series = [kinds[seed % 4](np.random.default_rng(seed)) for seed in range(10_000)]
    print(f"10 000 series, half of them with a step or a drift: {sum(map(_seconds, series)):.1f} s")


def _anywhere(size: float) -> tuple[Callable[[Source], Floats], Callable[[int], int]]:
    """Return what makes series with a step at a random place, and the place by seed."""

    def place(seed: int) -> int:
        return int(np.random.default_rng((seed, 1)).integers(20, 81))

    def make(source: Source) -> Floats:
        seed = source.bit_generator.seed_seq.entropy
        return stepped(noise(source), (place(seed), size))

    return make, place


def _findings(make: Callable[[Source], Floats]) -> list[SeriesChange]:
    return [find_changes(make(np.random.default_rng(seed))) for seed in range(SEEDS)]


def _print(name: str, make: Callable[[Source], Floats], *places: int | Callable[[int], int]) -> None:
    """Print the rates of one kind of series."""
    found = _findings(make)
    truths = [[place(seed) if callable(place) else place for place in places] for seed in range(SEEDS)]
    text = f"{name:32}"
    for near in (3, 5) if places else ():
        hits = [
            all(any(abs(change.index - place) <= near for change in f.changes) for place in truth)
            for f, truth in zip(found, truths, strict=True)
        ]
        text += f" found within {near}: {np.mean(hits):6.1%} "
    more = np.mean([len(f.changes) > len(places) for f in found])
    print(f"{text} more: {more:5.1%}  called drift: {np.mean([f.label == DRIFT for f in found]):6.1%}")


def _seconds(values: Floats) -> float:
    started = time.perf_counter()
    find_changes(values)
    return time.perf_counter() - started


if __name__ == "__main__":
    parts = {part.__name__: part for part in (no_change, one_step, more_steps, drifts, intervals, cost)}
    for chosen in sys.argv[1:] or parts:
        print(f"\n{parts[chosen].__doc__}")
        parts[chosen]()
