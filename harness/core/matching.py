"""The words by which a user means cases."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from harness.core.errors import make_unknown_error

if TYPE_CHECKING:
    from collections.abc import Collection

    from harness.core.case import Case


def match_cases(cases: Collection[Case], word: str) -> set[str]:
    """Return the cases whose id a word is, is a part of, or fits with ``*`` and ``?``; all for an empty word.

    Raises:
        UsageError: there is none; the message has the nearest.
    """
    known = {case.id for case in cases}
    pattern = f"*{word.replace('[', '[[]')}*"  # the brackets of an id are no character class
    found = {word} if word in known else {case for case in known if fnmatchcase(case, pattern)}
    if not found:
        raise make_unknown_error(
            "case", word, known if "[" in word else {c.workload for c in cases} | {c.implementation for c in cases}
        )
    return found
