"""A block of HTML on a page, and the environment in which its template is filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

# Turn the direction of the text that follows, on the rest of the page too, or are not characters at all.
_UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
# Of a text that came from elsewhere: more is no message that somebody reads.
_LONGEST = 20_000


@dataclass(frozen=True)
class Html:
    """A block of a panel: a template of ``harness/report/templates`` and its values."""

    template: str
    values: dict[str, Any] = field(default_factory=dict)

    def render(self) -> str:
        """Return the block, in which every value is text."""
        return open_templates().get_template(self.template).render(self.values)


@cache
def open_templates() -> Environment:
    """Return the environment of all templates: what is filled in is escaped, and what is missing is an error."""
    return Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: show_text(value) if isinstance(value, str) and not hasattr(value, "__html__") else value,
    )


def show_text(text: str) -> str:
    """Return text as a page may show it: unseen characters as their code points, and an end where it has none."""
    shown = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} … and {len(text) - _LONGEST} more characters"
    return _UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", shown)
