"""Sources of content that could not be taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.terminal.streams import print_message

if TYPE_CHECKING:
    from harness.catalog import Catalog


def report_broken(catalog: Catalog) -> None:
    """Say in one line each what was left out of the catalog, and why."""
    for line in catalog.broken:
        print_message(f"left out: {line}")
