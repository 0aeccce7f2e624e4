"""The console that commands print on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable

# Where the output is no terminal, nothing should wrap.
_FILE_WIDTH = 160


class _PlainConsole(Console):
    """A console on which text does nothing: names, messages and subjects of commits come from files of anybody."""

    def render(self, *arguments: Any, **options: Any) -> Iterable[Segment]:
        """Render without the control characters of text; what Rich itself does to the terminal stays."""
        for segment in super().render(*arguments, **options):
            text, style, control = segment
            yield segment if control or text.isprintable() or text == "\n" else Segment(_visible(text), style)


def open_console(*, stderr: bool = False, quiet: bool = False) -> Console:
    """Return a console as wide as the terminal; in a file or pipe, wide enough for every table, and without colour."""
    found = _PlainConsole(highlight=False, stderr=stderr, quiet=quiet)
    if stderr or found.is_terminal:
        return found
    return _PlainConsole(highlight=False, width=_FILE_WIDTH)


def _visible(text: str) -> str:
    return "".join(character for character in text if character.isprintable() or character == "\n")
