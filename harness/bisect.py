"""Finds the commit that made something slower: each candidate takes turns with the good one in a run of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import git
from harness.core.comparison import ADDED, BROKEN, FAILS, FIXED, MISSING, UNMEASURED
from harness.core.errors import EXIT_INTERRUPTED, UsageError
from harness.core.variant import BASE, NEW
from harness.gate import gate_run
from harness.revisions import resolve_revision
from harness.runner import execute_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from harness.core.case import Case
    from harness.core.comparison import Comparison
    from harness.core.environment import Environment
    from harness.core.rules import Rules
    from harness.core.run import Run
    from harness.core.variant import Variant
    from harness.runner import Observer

SLOWER, NOT_SLOWER, SKIPPED = "slower", "not slower", "skipped"


@dataclass(frozen=True)
class Candidate:
    """What was found of one commit: whether it is slower than the good one, and the comparison that says so."""

    commit: str
    outcome: str
    rows: tuple[Comparison, ...]


@dataclass(frozen=True)
class Culprit:
    """The commits among which the first slower one is: one, unless its neighbours could not be judged."""

    suspects: tuple[str, ...]
    steps: tuple[Candidate, ...]


@dataclass(frozen=True)
class Bisection:
    """What all steps of a search share.

    Attributes:
        start: makes the runs of two revisions.
        budget_s: time for more launches of a commit whose verdict is inconclusive.
        tell: is told of each step as it ends.
    """

    checkout: Path
    start: Callable[[Sequence[Variant]], tuple[Run, ...]]
    setup: str
    rules: Rules
    environment: Environment
    observer: Observer
    budget_s: float
    tell: Callable[[Candidate], None]


def bisect_history(search: Bisection, good: str, bad: str) -> Culprit:
    """Return the first commit after ``good`` up to ``bad``, on the line of first parents, that is slower than ``good``.

    What counts is what is worse at ``bad``: the same cases and metrics. A commit that does not build, that fails, or
    whose verdict stays open is skipped.

    Raises:
        UsageError: there is no commit between the two, or ``bad`` is not slower than ``good``.
    """
    start, end = (git.resolve_commit(search.checkout, ref) for ref in (good, bad))
    line = git.list_between(search.checkout, start, end)
    if not line:
        raise UsageError(f"there is no commit after {good} up to {bad}")
    worst = _judged(search, start, end, None)
    search.tell(worst)
    if worst.outcome != SLOWER:
        reason = _unmeasured(worst.rows, good, bad)
        raise UsageError(f"{bad} is not known to be slower than {good}: nothing to look for{reason}")
    steps, wanted = [worst], {(row.case, row.metric) for row in worst.rows if row.regressed}
    low, high, skipped = -1, len(line) - 1, set[int]()
    while candidates := [index for index in range(low + 1, high) if index not in skipped]:
        middle = candidates[len(candidates) // 2]
        step = _judged(search, start, line[middle], wanted)
        search.tell(step)
        steps.append(step)
        if step.outcome == SLOWER:
            high = middle
        elif step.outcome == NOT_SLOWER:
            low = middle
        else:
            skipped.add(middle)
    return Culprit(tuple(line[low + 1 : high + 1]), tuple(steps))


def _unmeasured(rows: Iterable[Comparison], good: str, bad: str) -> str:
    """Say at which end a case was not measured, and why; empty where all were measured at both."""
    ends = {FAILS: bad, MISSING: bad, ADDED: good, FIXED: good, UNMEASURED: good, BROKEN: f"{good} and {bad}"}
    found = (
        f"; {row.case.id} was not measured at {ends[row.verdict]}: {row.note}" for row in rows if row.verdict in ends
    )
    return next(found, "")


def _judged(search: Bisection, good: str, commit: str, wanted: set[tuple[Case, str]] | None) -> Candidate:
    """Measure a commit against the good one, and say whether what is wanted is worse; None wants anything."""
    try:
        sides = (
            resolve_revision(BASE, search.checkout, good, search.setup),
            resolve_revision(NEW, search.checkout, commit, search.setup),
        )
        runs, code = execute_run(search.start(sides), search.observer)
        if code == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        base, new = runs
        verdict = gate_run(base, new, search.rules, search.environment, search.observer, budget_s=search.budget_s)
    except UsageError as error:
        if wanted is None:
            raise
        return Candidate(commit, f"{SKIPPED}: {error}", ())
    rows = [row for row in verdict.report.rows if wanted is None or (row.case, row.metric) in wanted]
    if any(row.regressed and row.verdict != FAILS for row in rows):
        return Candidate(commit, SLOWER, tuple(rows))
    if not rows or any(row.verdict in (FAILS, MISSING) for row in verdict.report.rows):
        return Candidate(commit, f"{SKIPPED}: it fails", verdict.report.rows)
    return Candidate(
        commit, f"{SKIPPED}: inconclusive" if any(row.undecided for row in rows) else NOT_SLOWER, tuple(rows)
    )
