"""Instruments, one a file. None knows what it measures, and each has a pass of its own.

A clock times steps, a memory probe is a function of a region to run, and the machine's state is read around a turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from harness.core.flag import Flag


class Clock(Protocol):
    """Times steps.

    Attributes:
        least_s: samples shorter than this are not to be trusted; shorter steps are timed in blocks.
        largest_block: the most steps that one sample may hold.
    """

    least_s: float
    largest_block: int

    def sample(self, step: Callable[[], Any], block: int) -> tuple[dict[str, float], tuple[Flag, ...]]:
        """Run ``block`` steps, and return seconds per step by metric, with flags."""
