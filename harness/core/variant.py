"""A version of the code under test that is measured in turns with others."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from harness.core.field_types import check_fields

BASE, NEW = "base", "new"
# The keys in run.json of fields that have another name there.
_KEYS = {"run_set": "together"}


@dataclass(frozen=True)
class Variant:
    """One of the versions of the code that take turns, each with a run folder of its own.

    Attributes:
        role: ``base``, ``new``, or what else tells it from the others.
        run_set: what the runs of all of them share: the start of their names; empty before they are created.
        checkout: the repository's folder; empty for the code that runs.
        ref: the revision as the user wrote it; empty for the working tree.
        commit: what that stood for; empty for the working tree.
        setup: a command that is run in the revision's own folder and environment, to install or build it.
        planted: share of its time by which each step is made longer.
    """

    role: str
    run_set: str = ""
    checkout: str = ""
    ref: str = ""
    commit: str = ""
    setup: str = ""
    planted: float = 0.0


def write_variant(variant: Variant | None) -> dict[str, Any]:
    """Return the variant as JSON-ready data; nothing for a run of the code as it is."""
    return {_KEYS.get(name, name): value for name, value in asdict(variant).items()} if variant else {}


def read_variant(data: dict[str, Any]) -> Variant | None:
    """Rebuild a variant from :func:`variant_to_json`; what a later version adds is left out.

    Raises:
        TypeError: a field is missing, or of another type.
    """
    keys = {field.name: _KEYS.get(field.name, field.name) for field in fields(Variant)}
    return check_fields(Variant(**{name: data[key] for name, key in keys.items() if key in data})) if data else None
