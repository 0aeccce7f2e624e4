"""Axes: the named, typed dimensions of a workload's question."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.core.errors import UsageError, make_unknown_error

if TYPE_CHECKING:
    from collections.abc import Callable

Scalar = int | float | str | bool

_BINARY = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_COUNTS_END = 1 << 63  # what tables and tensors can hold
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_LONGEST_S = 1e9  # what the clocks of the system can wait for
_NUMBER = r"(\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?)"


@dataclass(frozen=True)
class Axis:
    """One dimension of a question: how its values are written, and which one is meant by default.

    Build one with :meth:`integer`, :meth:`size`, :meth:`duration`, :meth:`percent`, :meth:`choice` or
    :meth:`boolean`.

    Attributes:
        name: a Python identifier, also the command-line option.
        parse: text to value; raises ValueError with the reason.
        default: the value where none is given, as a user would write it.
        help: one line for ``--help``.
        hint: how values are written, e.g. ``"8k"``.
        implied: whether a case's name leaves the axis out where it is at its default, so that an axis which is added
            to a workload renames no case, and cuts no history off.
        cased: whether capitals make another value, as in the path of a file.
    """

    name: str
    parse: Callable[[str], Scalar]
    default: str
    help: str
    hint: str
    implied: bool = False
    cased: bool = False

    @staticmethod
    def integer(name: str, default: int | str, help: str) -> Axis:
        """A count of at least 1; ``8k`` is 8192 and ``1_024`` is 1024."""
        return Axis(name, parse_count, str(default), help, "8k")

    @staticmethod
    def size(name: str, default: int | str, help: str) -> Axis:
        """A number of bytes of at least 1; ``64MiB``, ``64m`` and ``67108864`` are the same."""
        return Axis(name, parse_count, str(default), help, "64MiB")

    @staticmethod
    def duration(name: str, default: str, help: str) -> Axis:
        """A time above zero, kept in seconds; ``10ms`` is 0.01."""
        return Axis(name, parse_duration, default, help, "10ms")

    @staticmethod
    def percent(name: str, default: str, help: str) -> Axis:
        """A percentage of at least zero, kept as a fraction; ``2%`` is 0.02."""
        return Axis(name, parse_percent, default, help, "2%")

    @staticmethod
    def boolean(name: str, default: bool, help: str) -> Axis:
        """True or false."""
        return Axis(name, parse_boolean, str(default).lower(), help, "true|false")

    @staticmethod
    def choice(name: str, values: tuple[str, ...], default: str, help: str, *, implied: bool = False) -> Axis:
        """One of a few names."""

        def parse(text: str) -> str:
            if text not in values:
                raise ValueError(str(make_unknown_error("value", text, values)))
            return text

        return Axis(name, parse, default, help, "|".join(values), implied)

    def values(self, text: str) -> tuple[Scalar, ...]:
        """Parse a comma-separated sweep such as ``1k,2k,4k``, dropping repetitions.

        Raises:
            UsageError: a part is empty or is not a value of this axis.
        """
        parsed = []
        for part in text.split(","):
            try:
                parsed.append(self.parse(part.strip() if self.cased else part.strip().lower()))
            except ValueError as reason:
                raise UsageError(f"--{self.name.replace('_', '-')} {part.strip() or text!r}: {reason}") from None
        return tuple(dict.fromkeys(parsed))


def parse_count(text: str) -> int:
    """Parse a whole number of at least 1, with an optional binary suffix: ``8k``, ``64MiB``, ``1_024``."""
    match = re.fullmatch(_NUMBER + r"([kmgt]?)(?:i?b)?", text.lower())
    number, unit = (match[1].replace("_", ""), _BINARY[match[2]]) if match else ("0", 1)
    value = float(number) * unit
    if not 1 <= value < _COUNTS_END or value != int(value):
        raise ValueError("expected a whole number of at least 1 and below 2^63, such as 8k or 1_024")
    return int(number) * unit if number.isdecimal() else int(value)


def parse_duration(text: str) -> float:
    """Parse a time above zero into seconds: ``500us``, ``10ms``, ``30s``, ``5m``, ``2`` (seconds)."""
    match = re.fullmatch(_NUMBER + r"\s*(ns|us|ms|s|min|m|h)?", text.lower())
    value = float(match[1].replace("_", "")) * _SECONDS[match[2] or "s"] if match else 0.0
    if not 0 < value <= _LONGEST_S:
        raise ValueError("expected a time above zero and of at most 10^9 s, such as 10ms or 30s")
    return value


def parse_percent(text: str) -> float:
    """Parse a percentage into a fraction of at least zero: ``2%`` and ``2`` are both 0.02."""
    match = re.fullmatch(_NUMBER + r"\s*%?", text)
    value = float(match[1].replace("_", "")) if match else math.inf
    if value == math.inf:
        raise ValueError("expected a percentage of at least zero, such as 2%")
    return value / 100


def parse_boolean(text: str) -> bool:
    """Parse ``true`` or ``false`` (also ``yes``/``no``, ``on``/``off``, ``1``/``0``)."""
    if text in {"true", "yes", "on", "1"}:
        return True
    if text in {"false", "no", "off", "0"}:
        return False
    raise ValueError("expected true or false")
