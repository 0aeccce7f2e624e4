"""Instruments, one a file. None knows what it measures, and each has a pass of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Probe(Protocol):
    """Observes a region of the program between ``start`` and ``stop``."""

    def start(self) -> None:
        """Begin the region."""

    def stop(self) -> Mapping[str, float]:
        """End the region and return what was observed, by metric, in SI units."""


class Clock(Protocol):
    """Times steps.

    Attributes:
        least_s: samples shorter than this are not to be trusted; shorter steps are timed in blocks.
        largest_block: the most steps that one sample may hold.
    """

    least_s: float
    largest_block: int

    def sample(self, step: Callable[[], Any], block: int) -> tuple[dict[str, float], str]:
        """Run ``block`` steps, and return seconds per step by metric, with flags."""
