"""What adds up joules, and why it may not: the words that meters and windows share."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

MEASURED, INTEGRATED = "measured", "integrated"


class Reason(StrEnum):
    """Why there is no figure."""

    NO_LIBRARY = "no_library"
    NO_DRIVER = "no_driver"
    NO_PERMISSION = "no_permission"
    NO_DEVICE = "no_device"
    NOT_SUPPORTED = "not_supported"
    DEVICE_LOST = "device_lost"
    WENT_BACKWARDS = "went_backwards"
    NO_TICK = "no_tick"
    NOT_POLLED = "not_polled"
    TOO_SHORT = "too_short"
    FAILED = "failed"


class MeterError(Exception):
    """A meter that cannot be read or believed; its message is one line for the user."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Meter(Protocol):
    """Adds up joules.

    Attributes:
        name: what is read, for people.
        scope: whose energy it is: ``gpu``, ``module``, ``board`` (all instances of a shared device), ``package`` ...
        provenance: ``measured`` by a counter, or ``integrated`` from polled power.
        tick_s: the time between two values, where that is known; None where it can be measured.
        settle_s: how long a load must have run before what is read is that load alone.
        resolution_j: the smallest difference that it can show.
    """

    name: str
    scope: str
    provenance: str
    tick_s: float | None
    settle_s: float
    resolution_j: float

    def read(self) -> float:
        """Return the joules since some moment; raises MeterError."""

    def close(self) -> None:
        """End whatever polls."""


@dataclass(frozen=True)
class Tick:
    """How a meter moves: its period, and how far single ticks strayed from it, in seconds."""

    period_s: float
    jitter_s: float
