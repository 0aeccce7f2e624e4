"""``bench export`` and ``bench import``: runs for other tools and machines, and what comes from them as runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.compare import RESULTS  # noqa: TC001
from harness.core.errors import UsageError
from harness.terminal.streams import print_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.rows import ResultRow

_AUTO = "auto"


def export_command(
    runs: Annotated[list[str], typer.Argument(metavar="RUN", help="A run: a folder, a name, or latest.")],
    format: Annotated[
        str | None, typer.Option("--format", help="csv, json, markdown, pytest-benchmark or pytorch-v3.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write there; a file that is there is replaced."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(metavar="FILE.zip", help="Pack whole runs there, with all sides; bench import unpacks them."),
    ] = None,
    results: RESULTS = Path("results"),
) -> None:
    """Write a run in a form that other tools read, or runs as one file for another machine."""
    if (format is None) == (bundle is None):
        raise UsageError("give --format NAME, for another tool, or --bundle FILE.zip, for another machine: one of them")
    if bundle and output:
        raise UsageError("--output is for --format; a bundle is written to the file that --bundle names")
    if format and len(runs) > 1:
        raise UsageError("--format takes one run; --bundle takes several")
    from harness.resolve import resolve_run

    folders = [resolve_run(run, results) for run in runs]
    if bundle:
        _write_bundle(folders, bundle)
    else:
        _write_format(folders[0], str(format), output)


def import_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE", help="JSON files, each of one invocation; or bundles.")
    ],
    results: Annotated[Path, typer.Option(help="The folder in which the run's folder is made.")] = Path("results"),
    format: Annotated[str, typer.Option("--format", help="auto, pytest-benchmark or google-benchmark.")] = _AUTO,
) -> None:
    """Make one run of results of pytest-benchmark or google/benchmark, each file a launch; or unpack bundles of runs.

    The folder of each run is printed.
    """
    from harness.formats.imports import import_files
    from harness.store.unbundle import is_bundle

    bundles = [file for file in files if is_bundle(file)]
    if bundles and (len(bundles) < len(files) or format != _AUTO):
        raise UsageError(f"{bundles[0]} is a bundle: import it without --format, and without files of other tools")
    if bundles:
        _unpack(bundles, results)
        return
    imported = import_files(files, results, format, sys.argv)
    typer.echo(imported.folder)
    for note in imported.notes:
        print_message(note)


def _write_bundle(folders: Sequence[Path], path: Path) -> None:
    """Pack runs, each with the other sides of it: without them it could not be compared."""
    from harness.formats.exports import save_file
    from harness.runner import open_run
    from harness.store.bundle import write_bundle

    sides = [side for folder in folders for side in open_run(folder)]
    save_file(write_bundle(sides), path)
    for side in dict.fromkeys(side.folder for side in sides if not side.complete):
        _warn_incomplete(side)


def _write_format(folder: Path, format: str, output: Path | None) -> None:
    from harness.formats.exports import export_run, save_file
    from harness.store.read import read_run

    found = read_run(folder)
    exported = export_run(found, format)
    content = exported.text.encode("utf-8", "backslashreplace")
    if output is None:
        typer.echo(content, nl=False)
    else:
        save_file(content, output)
    if not found.complete:
        _warn_incomplete(found.folder)
    _report(exported.left_out, format)


def _unpack(bundles: Sequence[Path], results: Path) -> None:
    """Unpack one bundle after the other, each whole or not at all."""
    from harness.store.unbundle import import_bundle

    for path in bundles:
        found = import_bundle(path, results)
        for folder in (*found.new, *found.known):
            typer.echo(folder)
        for folder in found.known:
            print_message(f"{folder} is there already, with the same content")


def _warn_incomplete(folder: Path) -> None:
    print_message(f"{folder} is not complete; this is what there is so far")


def _report(left_out: Sequence[ResultRow], format: str) -> None:
    """Say what the form had no place for."""
    names = ", ".join(f"{row.case.id} ({row.status})" for row in left_out)
    if names:
        print_message(f"left out, for {format} has no place for it: {names}")
