"""What a check says, and how bad it is."""

from __future__ import annotations

from dataclasses import dataclass

# From the worst. A failure: numbers taken now cannot be trusted. A warning: they can, within what the figure says.
FAIL, WARN, UNKNOWN, PASS = "fail", "warn", "unknown", "pass"
STATUSES = (FAIL, WARN, UNKNOWN, PASS)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was looked at, in a word or two.
        status: one of ``STATUSES``; ``unknown`` where this machine does not tell.
        figure: what was found, or why it cannot be told.
        remedy: the command or setting that puts it right; empty where nothing is wrong.
    """

    name: str
    status: str
    figure: str
    remedy: str = ""


def grade_value(value: float, warn: float, fail: float) -> str:
    """Return the status of a value that should be low."""
    return FAIL if value >= fail else WARN if value >= warn else PASS
