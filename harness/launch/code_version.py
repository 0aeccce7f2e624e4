"""A version of the code under test, and what its workers need to find it."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class CodeVersion:
    """What makes the workers of one side of a run differ from those of another.

    Attributes:
        label: ``base`` or ``new``; empty where there is one side.
        python: the interpreter.
        path: folders that are searched for modules before all others.
        sources: files of the user's own that the catalog is loaded with.
        planted: share of its time by which each step is made longer: a slowdown that must be found.
    """

    label: str = ""
    python: str = sys.executable
    path: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    planted: float = 0.0
