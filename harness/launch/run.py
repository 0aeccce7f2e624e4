"""A run: launch after launch, group after group; each trial is handed over as soon as it ends."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.trial import OK, SKIPPED, Launch, Trial, utc_now
from harness.launch.remote import ForkServer
from harness.launch.rounds import Turns, run_group

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator

    from harness.core.case import Group
    from harness.plan import Plan


@dataclass(frozen=True)
class Progress:
    """What is being done, to which case, in which launch, and the share of the whole run that is behind it."""

    case: str
    doing: str
    launch: int
    share: float


def measure(
    plan: Plan, sources: tuple[str, ...], finished: Collection[Trial], report: Callable[[Progress], None]
) -> Generator[Launch | Trial]:
    """Measure a plan, and yield each launch as it starts and each trial as it ends.

    A case that fails in one launch is not tried in the next.

    Args:
        plan: the groups, and the policy under which they are measured.
        sources: files of the user's own that the catalog was loaded with.
        finished: trials that an interrupted run has already; they are not repeated.
        report: told of progress, between turns and never during one.

    Raises:
        HarnessError: a fork server does not start or does not answer.
    """
    done = {(trial.case, trial.launch) for trial in finished}
    out = {trial.case for trial in finished if trial.status != OK}
    for group in plan.groups:
        for planned in group.cases:
            if planned.skip and planned.case not in out:
                out.add(planned.case)
                yield Trial(planned.case, 0, SKIPPED, planned.skip, utc_now())
    with tempfile.TemporaryDirectory(prefix="benchwright-") as name:
        folder = Path(name)
        for index in range(plan.policy.launches):
            groups = [_remaining(group, index, done, out) for group in plan.groups]
            if not any(group.cases for group in groups):
                continue
            with ForkServer(plan.policy.threads, folder) as server:
                yield Launch(index, utc_now(), server.runtime)
                for position, group in enumerate(groups):
                    if not group.cases:
                        continue
                    before = index * len(groups) + position
                    tell = _teller(report, index, before, plan.policy.launches * len(groups), len(group.cases))
                    for trial in run_group(Turns(server, index, plan.policy, folder, sources, tell), group):
                        if trial.failed:
                            out.add(trial.case)
                        yield trial


def _remaining(group: Group, launch: int, done: Collection[object], out: Collection[object]) -> Group:
    """Return the group with the cases that this launch still has to run."""
    cases = tuple(p for p in group.cases if (p.case, launch) not in done and p.case not in out)
    return replace(group, cases=cases)


def _teller(
    report: Callable[[Progress], None], launch: int, before: int, of: int, cases: int
) -> Callable[[str, str, float], None]:
    """Return a reporter for one group, which adds what its cases have used to what is behind the run."""
    used: dict[str, float] = {}

    def tell(case: str, doing: str, share: float) -> None:
        used[case] = share
        report(Progress(case, doing, launch, (before + min(1.0, sum(used.values()) / cases)) / of))

    return tell
