"""Tries of this harness and of other tools, in turn, and how often each was right."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.compare import compare_runs
from harness.core.comparison import FASTER, SLOWER
from harness.core.errors import EXIT_INTERRUPTED
from harness.core.metric import PRIMARY
from harness.core.variant import BASE, Variant
from harness.runner import execute_run, start_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.core.comparison import Verdict
    from harness.core.environment import Environment
    from harness.core.rules import Rules
    from harness.plan import Plan
    from harness.runner import Observer
    from harness.selftest.rivals import Rival

OWN = "benchwright"
# An effect counts as seen where so large a share of the tries finds it.
_SEEN = 0.95


@dataclass(frozen=True)
class Tally:
    """What came of a tool's tries.

    Attributes:
        alarms: tries in which the same code was called different.
        found: tries in which each planted slowdown was called slower.
        seconds: wall time of all tries.
    """

    tool: str
    tries: int
    alarms: int
    found: Mapping[float, int]
    seconds: float

    @property
    def smallest(self) -> float | None:
        """The smallest slowdown from which on all were found in 95 % of the tries; None where not even the largest."""
        seen = None
        for effect in sorted(self.found, reverse=True):
            if self.found[effect] < _SEEN * self.tries:
                break
            seen = effect
        return seen


@dataclass(frozen=True)
class TrialSetting:
    """What all tries share.

    Attributes:
        plan: one case, and the policy.
        effects: the slowdowns that are planted, as shares of the step's time.
        place: where runs may be written; they are of no further use.
    """

    plan: Plan
    effects: Sequence[float]
    rules: Rules
    environment: Environment
    observer: Observer
    sources: tuple[str, ...]
    place: Path


def run_tries(setting: TrialSetting, rivals: Sequence[Rival], tries: int, tell: Callable[[str], None]) -> list[Tally]:
    """Let the tools take turns, and count how often each is right.

    A try measures the same code twice and once with each slowdown. Another tool gets the wall time that this harness
    took for a side, for each of its own.

    Raises:
        KeyboardInterrupt: measuring was interrupted.
        HarnessError: a tool does not run.
    """
    counts = {name: _Counts(setting.effects) for name in (OWN, *(rival.name for rival in rivals))}
    for done in range(tries):
        tell(f"try {done + 1}/{tries}")
        started = time.monotonic()
        counts[OWN].add(_own_try(setting), time.monotonic() - started)
        share = (time.monotonic() - started) / (2 + len(setting.effects))
        for rival in rivals:
            tell(f"try {done + 1}/{tries} of {rival.name}")
            started = time.monotonic()
            counts[rival.name].add(dict(_rival_try(setting, rival, share)), time.monotonic() - started)
    return [count.tally(name, tries) for name, count in counts.items()]


class _Counts:
    """The running sums of one tool."""

    def __init__(self, effects: Sequence[float]) -> None:
        self._alarms, self._seconds = 0, 0.0
        self._found = dict.fromkeys(effects, 0)

    def add(self, said: Mapping[float, Verdict], seconds: float) -> None:
        """Add a try: what was said of each effect, 0 being the same code."""
        self._seconds += seconds
        self._alarms += said[0.0] in (SLOWER, FASTER)
        for effect in self._found:
            self._found[effect] += said[effect] == SLOWER

    def tally(self, tool: str, tries: int) -> Tally:
        """Return the sums."""
        return Tally(tool, tries, self._alarms, self._found, self._seconds)


def _own_try(setting: TrialSetting) -> dict[float, Verdict]:
    sides = [Variant(BASE), Variant("effect-0")]
    sides += [Variant(f"effect-{effect:g}", planted=effect) for effect in setting.effects]
    runs = start_run(
        setting.plan,
        setting.place,
        "selftest",
        setting.environment,
        command=(),
        sources=setting.sources,
        tags={},
        variants=sides,
    )
    runs, code = execute_run(runs, setting.observer)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    said = {}
    for effect, run in zip((0.0, *setting.effects), runs[1:], strict=True):
        report = compare_runs(runs[0], run, setting.rules)
        said[effect] = next(row.verdict for row in report.rows if row.metric in ("", PRIMARY))
    return said


def _rival_try(setting: TrialSetting, rival: Rival, seconds: float) -> Iterator[tuple[float, Verdict]]:
    base = rival.measure(setting.plan, setting.sources, 0.0, seconds)
    for effect in (0.0, *setting.effects):
        yield effect, rival.verdict(base, rival.measure(setting.plan, setting.sources, effect, seconds))
