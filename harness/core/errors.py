"""What can go wrong, and the exit code that tells a caller which."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3
EXIT_HARNESS = 4
EXIT_INTERRUPTED = 130


class UsageError(Exception):
    """The request cannot be met as stated; its message is one line for the user."""


class HarnessError(Exception):
    """The harness itself could not do its work (a full disk, a launch that does not start)."""


def require_known(source: str, table: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first key of a table that is not known, with the nearest that is."""
    known = set(known)
    for key in table:
        if key not in known:
            raise UsageError(f"{source}: {make_unknown_error('key', key, known)}")


def make_unknown_error(kind: str, word: str, known: Iterable[str]) -> UsageError:
    """Return the error for a name that does not exist, with the nearest that does.

    Args:
        kind: what was looked for, e.g. ``"workload"``.
        word: what the user wrote.
        known: every valid name.
    """
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.4)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names) or 'none'}"
    return UsageError(f"unknown {kind} '{word}'; {hint}")
