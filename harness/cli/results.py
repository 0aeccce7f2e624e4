"""``bench results``: all runs that are kept, read together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.compare import RESULTS  # noqa: TC001
from harness.cli.parser import App

results_app = App(no_args_is_help=True)

PLACES = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="PLACE", help="Folders of runs, run folders, merged folders, patterns or URLs. [default: results]"
    ),
]
RUNS = Annotated[list[str], typer.Argument(metavar="RUN", help="Runs: folders, names, or latest.")]
JSON = Annotated[bool, typer.Option("--json", help="Print as JSON.")]
_DEFAULT = ("results",)


@results_app.callback(help="List, read together, merge and remove the runs that are kept.")
def _results() -> None:
    pass


@results_app.command("list")
def list_command(places: PLACES = None, json: JSON = False) -> None:
    """List runs, the newest last: when, what, where and how much."""
    from harness.store.gather import gather_runs
    from harness.store.overview import read_overviews
    from harness.terminal.run_list import print_overviews, print_overviews_json

    with gather_runs(places or _DEFAULT) as found:
        (print_overviews_json if json else print_overviews)(read_overviews(found), found.left_out)


@results_app.command("show")
def show_command(
    places: PLACES = None,
    case: Annotated[str, typer.Option(help="A case, a part of its name, or a pattern with * and ?.")] = "",
    metric: Annotated[str, typer.Option(help="What to look at; bench list names all metrics.")] = "time",
    json: JSON = False,
) -> None:
    """Print the median of each case over the samples of all runs, for each machine and setting."""
    from harness.store.gather import gather_runs
    from harness.store.medians import compute_medians
    from harness.terminal.run_list import print_medians, print_medians_json

    with gather_runs(places or _DEFAULT) as found:
        usable = found.without_slowed()
        rows = compute_medians(usable, metric, case)
        (print_medians_json if json else print_medians)(metric, rows, usable.left_out)


@results_app.command("rm")
def rm_command(
    runs: RUNS,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without being asked.")] = False,
    results: RESULTS = Path("results"),
) -> None:
    """Remove run folders, after having asked."""
    from harness.core.errors import UsageError
    from harness.core.metric import format_value
    from harness.resolve import resolve_run
    from harness.store.remove import check_removable, remove_run

    folders = list(dict.fromkeys(resolve_run(word, results) for word in runs))
    for folder in folders:
        check_removable(folder)
    named = ", ".join(map(str, folders))
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"nobody can be asked here; to remove {named}, add --yes")
        if not typer.confirm(f"Remove {named}?"):
            return
    for folder in folders:
        typer.echo(f"removed {folder}: {format_value(remove_run(folder), 'B')} freed")


@results_app.command("merge")
def merge_command(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN", help="Runs: folders, names, latest, patterns, URLs; or folders of runs."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="The new folder.")],
    results: RESULTS = Path("results"),
) -> None:
    """Make one folder of many runs, which is read like them, and faster."""
    from harness.resolve import resolve_run
    from harness.store.gather import gather_runs
    from harness.store.merge import merge_runs
    from harness.store.place import is_place
    from harness.terminal.run_list import report_left_out

    words = [word if is_place(word) else str(resolve_run(word, results)) for word in runs]
    with gather_runs(words) as found:
        merge_runs(found, output)
        report_left_out(found.left_out)
        typer.echo(f"{output}: {len(found.runs)} run{'' if len(found.runs) == 1 else 's'}")
