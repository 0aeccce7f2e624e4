"""Commands as Typer parses them, but that no option is dropped in silence."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

# The metavar of options that take a list of values, separated by commas.
VALUES = "VALUES"


class App(typer.Typer):
    """A Typer app whose commands refuse an option that is given twice, of which only the last would count."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"cls": OnceGroup, **options})

    def command(self, name: str | None = None, **options: Any) -> Callable[..., Any]:
        """Register a command, as Typer does."""
        return super().command(name, cls=_OnceCommand, **options)


class OnceGroup(TyperGroup):
    """A group of commands that takes each option of its own once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the command's name."""
        _check_once(self, ctx, args)
        return super().parse_args(ctx, args)


class _OnceCommand(TyperCommand):
    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        _check_once(self, ctx, args)
        return super().parse_args(ctx, args)


def _check_once(command: Any, ctx: Any, args: list[str]) -> None:
    """Raise UsageError where an option that takes one value has two; a list takes several, and a flag none."""
    _, _, given = command.make_parser(ctx).parse_args(args=list(args))
    for option, times in Counter(given).items():
        if times > 1 and not option.multiple and not option.is_flag:
            listed = f", several values as {option.opts[0]} A,B" if option.metavar == VALUES else ""
            raise UsageError(f"{option.opts[0]} is given {times} times: give it once{listed}")
