"""The search for the first slower commit, over recorded runs of real commits; ``tests/cli`` has one that measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.bisect import NOT_SLOWER, SLOWER, Bisection, Culprit, bisect_history
from harness.core.errors import UsageError
from harness.core.rules import Rules
from harness.core.run import Run
from harness.core.trial import ABSENT
from harness.detect import detect_environment
from harness.runner import Observer

Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]
Commit = Callable[..., str]
Search = Callable[..., tuple[list[str], Culprit]]
FAILS, OPEN = "crashed: died of SIGSEGV", "open"
NO_MODULE = "error: check: ModuleNotFoundError: No module named 'built'"
SKIPPED_FAILING, SKIPPED_OPEN = "skipped: it fails", "skipped: inconclusive"


@pytest.fixture
def search(place: Path, record: Record, draw: Draw, commit: Commit) -> Search:
    """Return a function that makes commits of such times, and searches from the first to the last."""

    def find(*history: float | str) -> tuple[list[str], Culprit]:
        commits = [commit(number) for number in range(len(history))]

        def measured(name: str, seed: int) -> Run:
            time = history[commits.index(name)]
            if time == OPEN:
                return record({"base": draw(seed, spread=0.1)})
            return record({"base": time if isinstance(time, str) else draw(seed, time)})

        settings = Rules(), detect_environment(), Observer(print, print, print), 0.0, print
        one = Bisection(
            place, lambda pair: tuple(measured(one.commit, number) for number, one in enumerate(pair, 1)), "", *settings
        )
        return commits, bisect_history(one, commits[0], "HEAD")

    return find


@pytest.mark.parametrize(
    ("history", "suspects", "outcomes"),
    [
        ((1.0, 1.1), [1], {1: SLOWER}),
        ((1.0, 1.0, 1.0, 1.1, 1.2), [3], {4: SLOWER, 2: NOT_SLOWER, 3: SLOWER}),
        ((1.0, 1.1, 1.1, 1.1, 1.1), [1], {4: SLOWER, 2: SLOWER, 1: SLOWER}),
        ((1.0, 1.0, FAILS, 1.1, 1.1), [2, 3], {4: SLOWER, 2: SKIPPED_FAILING, 3: SLOWER, 1: NOT_SLOWER}),
        ((1.0, 1.0, 1.0, OPEN, 1.1), [3, 4], {4: SLOWER, 2: NOT_SLOWER, 3: SKIPPED_OPEN}),
    ],
    ids=("two", "narrowed", "first", "beside-one-that-fails", "beside-an-open-one"),
)
def test_what_is_left_are_the_commits_that_may_be_the_first_slower_one(
    search: Search, history: tuple[float | str, ...], suspects: list[int], outcomes: dict[int, str]
) -> None:
    commits, found = search(*history)
    assert [commits.index(one) for one in found.suspects] == suspects
    assert [(commits.index(step.commit), step.outcome) for step in found.steps] == list(outcomes.items())


@pytest.mark.parametrize(
    ("first", "last", "reason"),
    [
        (NO_MODULE, 1.0, rf"work/base\[n=4\] was not measured at [0-9a-f]{{40}}: {NO_MODULE}"),
        (f"skipped: {ABSENT}", 1.0, "was not measured at [0-9a-f]{40}: skipped: no such case"),
        (FAILS, 1.0, f"was not measured at [0-9a-f]{{40}}: {FAILS}"),
        (FAILS, FAILS, f"was not measured at [0-9a-f]{{40}} and HEAD: {FAILS}"),
        (1.0, FAILS, f"was not measured at HEAD: {FAILS}"),
    ],
)
def test_an_end_that_was_not_measured_is_named_with_the_reason(
    search: Search, first: float | str, last: float | str, reason: str
) -> None:
    with pytest.raises(UsageError, match=f"nothing to look for; .*{reason}"):
        search(first, last)


@pytest.mark.parametrize("last", [1.0, FAILS, OPEN])
def test_where_the_last_commit_is_not_known_to_be_slower_there_is_nothing_to_look_for(
    search: Search, last: float | str
) -> None:
    with pytest.raises(UsageError, match=r"HEAD is not known to be slower than [0-9a-f]{40}: nothing to look for"):
        search(1.0, last)
