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
    from harness.analysis.rows import build_result_tables
    from harness.core.errors import EXIT_INTERRUPTED
    from harness.resolve import resolve_run
    from harness.runner import choose_exit_code, open_run
    from harness.terminal.comparison import print_comparison
    from harness.terminal.run import print_run
    from harness.terminal.sanitize import sanitize_run
    from harness.terminal.tables import print_json

    folder = resolve_run(run, results)
    sides = tuple(_only(side, group) for side in open_run(folder))
    code = choose_exit_code(sides) if all(side.complete for side in sides) else EXIT_INTERRUPTED
    shown = next((side for side in sides if side.folder.resolve() == folder.resolve()), sides[-1])
    if not json:
        shown = sanitize_run(shown)
        print_run(shown, build_result_tables(shown))
    if len(sides) == 2:
        base, new = sides if json else map(sanitize_run, sides)
        print_comparison(base, new, json=json, code=code)
    elif json:
        print_json(shown, build_result_tables(shown), code)
    return 0


def _only(run: Run, word: str) -> Run:
    """Return what a run has of the groups whose name a word is part of.

    Raises:
        UsageError: there is none; the message has the nearest.
    """
    from harness.core.errors import make_unknown_error

    groups = tuple(group for group in run.groups if word.casefold() in group.id.casefold())
    if not groups:
        raise make_unknown_error("group", word, (group.id for group in run.groups))
    return run.with_groups(groups)
