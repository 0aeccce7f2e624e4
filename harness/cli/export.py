"""``bench export`` and ``bench import``: runs for other tools, and their results as runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.compare import RESULTS  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.rows import Row


def export_command(
    run: Annotated[str, typer.Argument(help="The run: a folder, a name, or latest.")],
    format: Annotated[str, typer.Option("--format", help="csv, json, markdown, pytest-benchmark or pytorch-v3.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there; a file that is there is replaced."),
    ] = None,
    results: RESULTS = Path("results"),
) -> None:
    """Write a run in a form that other tools read."""
    from harness.formats.exports import export, save
    from harness.resolve import resolve_run
    from harness.store.read import read_run

    found = read_run(resolve_run(run, results))
    exported = export(found, format)
    content = exported.text.encode("utf-8", "backslashreplace")
    if output is None:
        typer.echo(content, nl=False)
    else:
        save(content, output)
    if not found.complete:
        typer.echo(f"bench: {found.folder} is not complete; this is what there is so far", err=True)
    _report(exported.left_out, format)


def import_command(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="JSON files, each of one invocation.")],
    results: Annotated[Path, typer.Option(help="The folder in which the run's folder is made.")] = Path("results"),
    format: Annotated[str, typer.Option("--format", help="auto, pytest-benchmark or google-benchmark.")] = "auto",
) -> None:
    """Make one run of results of pytest-benchmark or google/benchmark, each file a launch, and print its folder."""
    from harness.formats.imports import import_files

    imported = import_files(files, results, format, sys.argv)
    typer.echo(imported.folder)
    for note in imported.notes:
        typer.echo(f"bench: {note}", err=True)


def _report(left_out: Sequence[Row], format: str) -> None:
    """Say what the form had no place for."""
    names = ", ".join(f"{row.case.id} ({row.status})" for row in left_out)
    if names:
        typer.echo(f"bench: left out, for {format} has no place for it: {' '.join(names.split())}", err=True)
