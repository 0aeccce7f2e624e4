"""``bench baseline``: runs that are kept under a name, for others to be held against."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.compare import RESULTS  # noqa: TC001
from harness.cli.parser import App
from harness.terminal.streams import print_message

if TYPE_CHECKING:
    from harness.store.find import KeptRun

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

    from harness.store.find import read_kept_runs
    from harness.terminal.console import open_console

    found = [_line(kept) for kept in read_kept_runs(results) if kept.baseline]
    if json:
        typer.echo(json_text.dumps(found, indent=1))
        return
    for one in found:
        commit = f"{one['commit'][:12]}{' with changes' if one['dirty'] else ''}"
        words = (one["baseline"], one["started_at"][:10], commit, f"machine {one['fingerprint']}", one["folder"])
        open_console().print(Text("  ".join(filter(None, words))), soft_wrap=True)
    if not found:
        print_message(f"no baseline in {results}; keep one with: bench baseline set NAME")


@baseline_app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="The baseline's name.")],
    results: RESULTS = Path("results"),
    json: JSON = False,
) -> None:
    """Print the results of a baseline: that of this machine where there are several."""
    from harness.analysis.rows import build_result_tables
    from harness.core.errors import make_unknown_error
    from harness.detect import detect_environment
    from harness.resolve import resolve_run
    from harness.store.find import read_kept_runs
    from harness.store.read import read_run
    from harness.terminal.tables import print_json, print_tables

    names = {kept.baseline for kept in read_kept_runs(results) if kept.baseline}
    if name not in names:
        raise make_unknown_error("baseline", name, names)
    run = read_run(resolve_run(name, results, detect_environment().fingerprint))
    (print_json if json else print_tables)(run, build_result_tables(run), 0)


def _line(kept: KeptRun) -> dict[str, Any]:
    """Return what tells a baseline from others."""
    run = kept.description
    return {
        "folder": str(kept.folder),
        "id": run.id,
        "state": run.state,
        "started_at": run.started_at,
        "fingerprint": run.environment.fingerprint,
        "commit": run.environment.git_commit,
        "dirty": run.environment.git_dirty,
        "baseline": kept.baseline,
        "compiled": run.compiled,
    }
