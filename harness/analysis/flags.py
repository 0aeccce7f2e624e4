"""What speaks against a time: flags from the state of the machine and from the shape of the samples."""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING

import numpy as np

from harness.core.flag import Flag
from harness.core.metric import PRIMARY
from harness.core.trial import OK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.core.trial import Trial

# CPU time this far below wall time, where the work is on the CPU: the worker waited for a core.
_CONTENDED = 0.9
# A share of the machine's cores that others or the hypervisor took in the median turn: the time is theirs too.
_OTHERS = 0.1
# NVML's reasons for lower clocks (nvml.h): heat, the hardware, its power brake; and the power limit, which is normal
# under load and still bounds what is measured.
_THROTTLED, _POWER_CAP = 0x8 | 0x20 | 0x40 | 0x80, 0x4
# Of the turns, for a state of the GPU to be worth a flag.
_OFTEN = 0.1
# How far the last rounds of a launch lie from the first, in the median launch, for a drift.
_DRIFT, _LEAST_ROUNDS = 0.02, 9
# Two modes: a gap between neighbours of this many times what both sides of it spread, each with this share of samples.
_GAP, _SHARE, _LEAST_SAMPLES = 3.0, 0.15, 30


def find_flags(trials: Sequence[Trial]) -> list[Flag]:
    """Return the flags of a case's time."""
    good = [trial for trial in trials if trial.status == OK]
    checks: dict[Flag, Callable[[Sequence[Trial]], bool]] = {
        Flag.ONE_LAUNCH: lambda good: len({trial.launch for trial in good}) == 1,
        Flag.ONE_SAMPLE: lambda good: sum(1 for _ in _values(good, PRIMARY)) == 1,
        Flag.WAITING: _waited,
        Flag.CONTENDED: lambda good: _median(good, "others_share") > _OTHERS,
        Flag.STOLEN: lambda good: _median(good, "steal_share") > _OTHERS,
        Flag.SWAPPING: lambda good: any(_values(good, "swapped_pages")),
        Flag.FEWER_ITEMS: lambda good: 0 < _median(good, "made_share") < 1,
        Flag.THROTTLED: lambda good: _held_down(good, _THROTTLED),
        Flag.POWER_CAPPED: lambda good: _held_down(good, _POWER_CAP),
        Flag.DRIFT: _drifted,
        Flag.TWO_MODES: lambda good: has_two_modes(list(_values(good, PRIMARY))),
    }
    return [flag for flag, check in checks.items() if check(good)]


def has_two_modes(values: Sequence[float]) -> bool:
    """Return whether samples fall into two heaps with a gap between them, as of a machine with two states."""
    logs = np.sort(np.log([value for value in values if value > 0]))
    least = max(2, math.ceil(_SHARE * len(logs)))
    if len(logs) < _LEAST_SAMPLES:
        return False
    gaps = np.diff(logs)[least - 1 : len(logs) - least]
    cut = least + int(gaps.argmax())
    spread = max(_spread(logs[:cut]), _spread(logs[cut:]))
    return bool(gaps.max() > _GAP * spread)


def _spread(ordered: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float:
    low, high = np.quantile(ordered, (0.25, 0.75))
    return float(high - low)


def _waited(good: Sequence[Trial]) -> bool:
    pairs = [(trial, zip(_values([trial], PRIMARY), _values([trial], "cpu_time"), strict=False)) for trial in good]
    ratios = [cpu / wall for _, pair in pairs for wall, cpu in pair if wall]
    return bool(ratios) and statistics.median(ratios) < _CONTENDED


def _held_down(good: Sequence[Trial], bits: int) -> bool:
    known = (value for value in _values(good, "throttle_reasons") if math.isfinite(value))
    reasons = [int(value) & bits != 0 for value in known]
    return bool(reasons) and sum(reasons) > _OFTEN * len(reasons)


def _drifted(good: Sequence[Trial]) -> bool:
    """Return whether times rise or fall over a launch in most launches, and in the same direction."""
    changes = [change for trial in good if (change := _change(trial)) is not None]
    if not changes or abs(statistics.median(changes)) < _DRIFT:
        return False
    same = sum((change > 0) == (statistics.median(changes) > 0) for change in changes)
    return same == len(changes)


def _change(trial: Trial) -> float | None:
    """Return the logarithm of the last third of a launch's rounds over the first; None of too few rounds."""
    timed = [sample for sample in trial.samples if sample.metric == PRIMARY and sample.round >= 0]
    rounds = [
        statistics.median(sample.value for sample in turn)
        for _, turn in itertools.groupby(timed, key=lambda sample: sample.round)
    ]
    if len(rounds) < _LEAST_ROUNDS or min(rounds) <= 0:
        return None
    third = len(rounds) // 3
    return math.log(statistics.median(rounds[-third:]) / statistics.median(rounds[:third]))


def _median(good: Sequence[Trial], metric: str) -> float:
    return statistics.median(values) if (values := list(_values(good, metric))) else 0.0


def _values(good: Sequence[Trial], metric: str) -> Iterator[float]:
    return (sample.value for trial in good for sample in trial.samples if sample.metric == metric)
