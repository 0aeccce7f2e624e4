"""The search for the first slower commit, over recorded runs of real commits; ``tests/cli`` has one that measures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.bisect import NOT_SLOWER, SLOWER, Bisection, Found, bisect
from harness.core.errors import UsageError
from harness.core.rules import Rules
from harness.core.run import Run
from harness.detect import detect
from harness.run import Observer

Record = Callable[..., Run]
Draw = Callable[..., list[list[float]]]
Commit = Callable[..., str]
Search = Callable[..., tuple[list[str], Found]]
FAILS, OPEN = "crashed: died of SIGSEGV", "open"
SKIPPED_FAILING, SKIPPED_OPEN = "skipped: it fails", "skipped: inconclusive"


@pytest.fixture
def search(place: Path, record: Record, draw: Draw, commit: Commit) -> Search:
    """Return a function that makes commits of such times, and searches from the first to the last."""

    def find(*history: float | str) -> tuple[list[str], Found]:
        commits = [commit(number) for number in range(len(history))]

        def measured(name: str, seed: int) -> Run:
            time = history[commits.index(name)]
            if time == OPEN:
                return record({"base": draw(seed, spread=0.1)})
            return record({"base": time if isinstance(time, str) else draw(seed, time)})

        settings = Rules(), detect(), Observer(print, print, print), 0.0, print
        one = Bisection(
            place, lambda sides: tuple(measured(side.commit, seed) for seed, side in enumerate(sides, 1)), "", *settings
        )
        return commits, bisect(one, commits[0], "HEAD")

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


@pytest.mark.parametrize("last", [1.0, FAILS, OPEN])
def test_where_the_last_commit_is_not_known_to_be_slower_there_is_nothing_to_look_for(
    search: Search, last: float | str
) -> None:
    with pytest.raises(UsageError, match=r"HEAD is not known to be slower than [0-9a-f]{40}: nothing to look for"):
        search(1.0, last)
