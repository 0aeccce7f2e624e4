"""``bench baseline``: runs that are kept under a name, for others to be held against."""

from __future__ import annotations

import json as json_text
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.compare import RESULTS  # noqa: TC001
from harness.cli.parser import App
from harness.cli.streams import tell

baseline_app = App(no_args_is_help=True)

JSON = Annotated[bool, typer.Option("--json", help="Print as JSON.")]


@baseline_app.callback(help="Keep runs under a name, in results/baselines, for git to track.")
def _baseline() -> None:
    pass


@baseline_app.command("set")
def set_command(
    name: Annotated[str, typer.Argument(help="The baseline's name, such as main.")],
    run: Annotated[str, typer.Argument(help="The run: a folder, a name, or latest.")] = "latest",
    results: RESULTS = Path("results"),
) -> None:
    """Keep a copy of a run under a name, in place of the one of that name from such a machine."""
    from harness.resolve import resolve_run
    from harness.store.baseline import keep_baseline

    typer.echo(keep_baseline(results, name, resolve_run(run, results)))


@baseline_app.command("list")
def list_command(results: RESULTS = Path("results"), json: JSON = False) -> None:
    """List the baselines, with the revision and the machine of each."""
    from rich.text import Text

    from harness.cli.console import console
    from harness.store.find import headers

    found = [header for header in headers(results) if header.baseline]
    if json:
        typer.echo(json_text.dumps([{**asdict(one), "folder": str(one.folder)} for one in found], indent=1))
        return
    for one in found:
        commit = f"{one.commit[:12]}{' with changes' if one.dirty else ''}"
        words = (one.baseline, one.started_at[:10], commit, f"machine {one.fingerprint}", str(one.folder))
        console().print(Text("  ".join(filter(None, words))), soft_wrap=True)
    if not found:
        tell(f"no baseline in {results}; keep one with: bench baseline set NAME")


@baseline_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="The baseline's name.")],
    results: RESULTS = Path("results"),
    json: JSON = False,
) -> None:
    """Print the results of a baseline: that of this machine where there are several."""
    from harness.analysis.rows import result_tables
    from harness.cli.table import print_json, print_tables
    from harness.core.errors import unknown
    from harness.detect import detect
    from harness.resolve import resolve_run
    from harness.store.find import headers
    from harness.store.read import read_run

    names = {header.baseline for header in headers(results) if header.baseline}
    if name not in names:
        raise unknown("baseline", name, names)
    run = read_run(resolve_run(name, results, detect().fingerprint))
    (print_json if json else print_tables)(run, result_tables(run.groups, run.trials, run.context), 0)
