"""What a run is asked to do: selections of cases, and the policy under which they are measured."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from harness.core.axis import parse_count, parse_duration, parse_percent
from harness.core.errors import UsageError, make_unknown_error, require_known
from harness.core.field_types import check_fields

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Mode(StrEnum):
    """What a sample is."""

    AUTO = "auto"
    COLD = "cold"
    HOT = "hot"
    GRAPH = "graph"
    HOST = "host"
    COMPILED = "compiled"


# Those that can be asked for by name.
MODES = (Mode.COLD, Mode.HOT, Mode.GRAPH, Mode.HOST)
# The mode of a run in which nothing ran: its numbers are the compiler's.
COMPILED = Mode.COMPILED


@dataclass(frozen=True)
class Selection:
    """Which cases of a workload are wanted.

    Attributes:
        workload: its name.
        implementations: names; empty means all.
        axes: comma-separated values by axis, as the user wrote them; an axis left out takes its default.
    """

    workload: str
    implementations: tuple[str, ...] = ()
    axes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """How cases are measured.

    Attributes:
        launches: fresh interpreters; the replicate of every claim. Three would leave two degrees of freedom, and
            intervals more than twice as wide where launches differ.
        precision: half width of the 95 % interval of a median, relative, at which sampling stops.
        budget_s: measuring time of one case over all launches.
        timeout_s: time that one case may take in one launch before it is killed.
        device: ``cpu``, ``cuda`` or ``cuda:N``; ``auto`` takes a GPU where there is one.
        threads: CPU threads of a worker; 0 means the usable cores.
        mode: what a CUDA sample is (``cold``, ``hot``, ``graph``, ``host``); ``auto`` is ``cold`` on CUDA.
        seed: fixes inputs and order.
        energy_precision: half width of an energy, relative, that its window is made long enough for; 0 for no energy.
        nodes: hosts that ranks are divided among.
    """

    launches: int = 5
    precision: float = 0.01
    budget_s: float = 30.0
    timeout_s: float = 300.0
    device: str = "auto"
    threads: int = 0
    mode: Mode = Mode.AUTO
    seed: int = 0
    energy_precision: float = 0.02
    nodes: int = 1

    def on_a_host(self, ranks: int) -> int:
        """Return how many of so many ranks are on one host, at most."""
        return math.ceil(ranks / self.nodes)

    def threads_of(self, ranks: int) -> int:
        """Return the threads of each of so many ranks, which share those of a worker on their host."""
        return max(1, self.threads // self.on_a_host(ranks))


@dataclass(frozen=True)
class Suite:
    """A named selection with a policy."""

    name: str
    help: str
    selections: tuple[Selection, ...]
    policy: Policy


_LARGEST_SEED = 1e18  # generators are given a few times as much, in 64 bits


def parse_seed(text: str) -> int:
    """Parse a whole number of at least zero."""
    if not text.isdecimal() or float(text) > _LARGEST_SEED:
        raise ValueError("expected a whole number from 0 to 10^18")
    return int(text)


def parse_mode(text: str) -> Mode:
    """Parse one of the modes of a CUDA sample."""
    if text not in MODES:
        raise ValueError(str(make_unknown_error("mode", text, MODES)))
    return Mode(text)


# The settings that a command line and a suite share: how each is written, and the field it sets.
SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "launches": ("launches", parse_count),
    "precision": ("precision", parse_percent),
    "budget": ("budget_s", parse_duration),
    "timeout": ("timeout_s", parse_duration),
    "device": ("device", str),
    "threads": ("threads", parse_count),
    "mode": ("mode", parse_mode),
    "seed": ("seed", parse_seed),
    "energy_precision": ("energy_precision", parse_percent),
}


def apply_settings(policy: Policy, settings: Mapping[str, object]) -> Policy:
    """Return the policy with the given settings, each written as on the command line; None leaves a default.

    Raises:
        UsageError: a setting is unknown or its value is not valid.
    """
    changes = {}
    for name, text in settings.items():
        if text is None:
            continue
        if name not in SETTINGS:
            raise make_unknown_error("setting", name, SETTINGS)
        target, parse = SETTINGS[name]
        try:
            changes[target] = parse(str(text))
        except ValueError as reason:
            raise UsageError(f"--{name.replace('_', '-')} {text}: {reason}") from None
    return replace(policy, **changes)


def read_policy(data: Mapping[str, Any]) -> Policy:
    """Rebuild a policy from its fields; those that an earlier version did not have take their defaults.

    Raises:
        TypeError, ValueError: a field is not known, or has another type or a value that is not known.
    """
    return check_fields(Policy(**{**data, "mode": Mode(data.get("mode", Policy.mode))}))


def parse_suite(name: str, data: Mapping[str, Any]) -> Suite:
    """Build a suite from a parsed TOML document; unknown keys are errors.

    The document has ``help``, an optional table ``policy``, and tables ``[[select]]`` with ``workload``,
    optional ``implementations`` and an optional table ``axes`` of comma-separated values.

    Raises:
        UsageError: a key is unknown, missing or of the wrong type.
    """
    require_known(f"suite '{name}'", data, {"help", "policy", "select"})
    selections = []
    for table in _tables(name, data.get("select", [])):
        require_known(f"suite '{name}'", table, {field.name for field in fields(Selection)})
        if not isinstance(table.get("workload"), str):
            raise UsageError(f"suite '{name}': a [[select]] needs workload = \"NAME\"")
        names, axes = table.get("implementations", []), table.get("axes", {})
        if not isinstance(names, list):
            raise UsageError(f"suite '{name}': implementations must be a list of names")
        if not isinstance(axes, dict):
            raise UsageError(f"suite '{name}': axes must be a table of values by axis")
        texts = {axis: _text(value) for axis, value in axes.items()}
        selections.append(Selection(table["workload"], tuple(map(str, names)), texts))
    if not selections:
        raise UsageError(f"suite '{name}' selects nothing: it needs a [[select]] table")
    return Suite(name, str(data.get("help", "")), tuple(selections), apply_settings(Policy(), data.get("policy", {})))


def _text(value: object) -> str:
    """Write a TOML value, or a list of them, as on the command line."""
    if isinstance(value, list):
        return ",".join(_text(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def _tables(suite: str, value: object) -> list[Mapping[str, Any]]:
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return value
    raise UsageError(f"suite '{suite}': select must be written as [[select]] tables")
