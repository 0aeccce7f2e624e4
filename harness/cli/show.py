"""``bench show``: a run that was measured before, in the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.compare import RESULTS  # noqa: TC001

if TYPE_CHECKING:
    from harness.core.run import Run


def show_command(
    run: Annotated[str, typer.Argument(help="The run: a folder, a name, or latest.")] = "latest",
    group: Annotated[str, typer.Option(metavar="WORD", help="Only groups with this in their name.")] = "",
    results: RESULTS = Path("results"),
    json: Annotated[bool, typer.Option("--json", help="Print what bench run --json prints.")] = False,
) -> int:
    """Print the tables of a run again, with small plots of its times, how they scale, and the logs of what failed."""
    from harness.analysis.rows import result_tables
    from harness.cli.plain import plain_run
    from harness.cli.shown import print_run
    from harness.cli.table import print_json
    from harness.cli.verdicts import print_comparison
    from harness.core.errors import EXIT_INTERRUPTED
    from harness.resolve import resolve_run
    from harness.run import exit_code, open_run

    folder = resolve_run(run, results)
    sides = tuple(_only(side, group) for side in open_run(folder))
    code = exit_code(sides) if all(side.complete for side in sides) else EXIT_INTERRUPTED
    shown = next((side for side in sides if side.folder.resolve() == folder.resolve()), sides[-1])
    if not json:
        shown = plain_run(shown)
        print_run(shown, result_tables(shown))
    if len(sides) == 2:
        base, new = sides if json else map(plain_run, sides)
        print_comparison(base, new, json=json, code=code)
    elif json:
        print_json(shown, result_tables(shown), code)
    return 0


def _only(run: Run, word: str) -> Run:
    """Return what a run has of the groups whose name a word is part of.

    Raises:
        UsageError: there is none; the message has the nearest.
    """
    from harness.core.errors import unknown

    groups = tuple(group for group in run.groups if word.casefold() in group.id.casefold())
    if not groups:
        raise unknown("group", word, (group.id for group in run.groups))
    return run.with_groups(groups)
