"""The console that commands print on."""

from __future__ import annotations

from rich.console import Console

# Where the output is no terminal, nothing should wrap.
_FILE_WIDTH = 160


def console() -> Console:
    """Return a console as wide as the terminal; in a file or pipe, wide enough for every table, and without colour."""
    found = Console(highlight=False)
    return found if found.is_terminal else Console(highlight=False, width=_FILE_WIDTH)
