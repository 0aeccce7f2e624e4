"""Changes of a history in words, the same wherever they are said."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.analysis.history import LevelChange, Point


def describe_change(step: LevelChange) -> str:
    """Say how large a change is and where: ``slower, +8.0% (+7.1% to +8.9%) in 1f2e3d..4c5b6a``."""
    change = step.change
    size = f"{step.direction}, {change.size:+.1%} ({change.ci_low:+.1%} to {change.ci_high:+.1%})"
    if step.within_commit:
        return f"{size} between runs of {format_commit(step.after)}: the code is not the cause"
    return f"{size} in {format_commit(step.before)}..{format_commit(step.after)}"


def format_commit(point: Point) -> str:
    """Write the commit of a point: ``+`` for changes that were not committed, ``?`` where git does not know it."""
    if not point.commit:
        return point.run
    return f"{point.commit[:10]}{'+' if point.dirty else ''}{'' if point.known else '?'}"
