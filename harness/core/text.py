"""Text from files and other programs, made fit to be shown."""

from __future__ import annotations


def clean_text(value: str) -> str:
    """Return text on one line, without control characters, marks of direction and what is not Unicode."""
    return " ".join("".join(c if c.isprintable() else " " for c in value).split())
