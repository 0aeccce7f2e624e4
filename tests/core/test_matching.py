"""The words by which a user means cases."""

from __future__ import annotations

import pytest

from harness.core.case import Case
from harness.core.errors import UsageError
from harness.core.matching import match_cases

PLAIN, OTHER = (Case("work", name, (("n", 4),)) for name in ("plain", "other"))


def test_a_pattern_finds_its_cases_and_brackets_are_no_pattern() -> None:
    cases = {PLAIN, OTHER}
    assert match_cases(cases, "") == match_cases(cases, "work/") == {PLAIN.id, OTHER.id}
    assert match_cases(cases, "plain[n=4]") == match_cases(cases, "p*[n=?]") == {PLAIN.id}


def test_a_word_that_means_nothing_has_the_nearest_beside_it() -> None:
    with pytest.raises(UsageError, match="did you mean 'plain'"):
        match_cases({PLAIN, OTHER}, "plane")
    with pytest.raises(UsageError, match=r"did you mean 'work/plain\[n=4\]'"):
        match_cases({PLAIN, OTHER}, "work/plain[n=5]")
