"""Schedules of a run, with a launcher without processes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from harness.core.case import Case, Group, PlannedCase
from harness.core.suite import Policy
from harness.core.trial import Launch, Rest, Trial
from harness.launch.code_version import CodeVersion
from harness.launch.controller.launcher import Launcher
from harness.launch.controller.schedule import Progress, measure_plan
from harness.plan import Plan
from tests.support.launcher import FakeLaunches

Event = Launch | Rest | Trial
PAIR = (CodeVersion("base"), CodeVersion("new"))
# Its interval is never as narrow as it should be.
UNEVEN = (1e-3, 2e-3)
# What a case is told from its start to its end, but for its turns.
BEFORE = ["prepare", "check", "prepare", "memory", "executed", "examine", "warm_up"]
AFTER = ["recheck", "finish"]


def case(name: str, n: int = 4) -> Case:
    return Case("work", name, (("n", n),))


def group(*names: str, n: int = 4, interleaved: bool = True, **planned: Any) -> Group:
    cases = tuple(PlannedCase(case(name, n), **planned) for name in names)
    return Group(f"work[n={n}]", names[0], cases, interleaved)


def scheduled(
    open_launcher: Callable[..., Launcher],
    *groups: Group,
    sides: Sequence[CodeVersion] = (CodeVersion(),),
    finished: Sequence[Collection[Trial]] | None = None,
    told: list[Progress] | None = None,
    **policy: Any,
) -> Iterator[tuple[int, Event]]:
    """Measure groups and yield what happens; in one launch on the CPU and without energy, if nothing else is said."""
    given = {"launches": 1, "device": "cpu", "threads": 1, "mode": "host", "energy_precision": 0.0, **policy}
    report = [] if told is None else told
    yield from measure_plan(
        Plan(groups, Policy(**given)), sides, finished or [()] * len(sides), report.append, open_launcher=open_launcher
    )


def measured(fake: FakeLaunches, *groups: Group, **given: Any) -> list[tuple[int, Event]]:
    """Measure groups to the end, and see that nothing is left."""
    events = list(scheduled(fake, *groups, **given))
    assert fake.left == []
    assert not any(launcher.open for launcher in fake.opened)
    return events


def trials(events: Sequence[tuple[int, Event]], side: int = 0) -> dict[str, list[Trial]]:
    """Return the trials of a side by implementation."""
    found: dict[str, list[Trial]] = {}
    for number, event in events:
        if isinstance(event, Trial) and number == side:
            found.setdefault(event.case.implementation, []).append(event)
    return found


def statuses(events: Sequence[tuple[int, Event]], side: int = 0) -> dict[str, list[str]]:
    return {name: [trial.status for trial in those] for name, those in trials(events, side).items()}


def turns(fake: FakeLaunches) -> list[str]:
    return [name for name, _ in fake.given("turn")]


def told_to(fake: FakeLaunches, name: str) -> list[str]:
    return [order for to, order in fake.given() if to == name]
