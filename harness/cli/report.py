"""``bench report``: a page, pictures or Markdown of one run, or of several side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.compare import RESULTS  # noqa: TC001

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.core.run import Run


def report_command(
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Runs, or folders and URLs that hold some; the newest where left out."),
    ] = None,
    format: Annotated[str, typer.Option("--format", help="html, md, png or svg.")] = "html",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="PATH", help="The file; of pictures, their folder."),
    ] = None,
    results: RESULTS = Path("results"),
) -> None:
    """Write a report of runs: one HTML file that needs no network, Markdown, or a picture of each figure."""
    from harness.git import list_commits
    from harness.report.gather import gather_study
    from harness.report.write import render_markdown, write_report
    from harness.store.rules import read_rules
    from harness.terminal.run_list import report_left_out

    wanted = _wanted(runs or ["latest"], results)
    study = gather_study(wanted, rules=read_rules(None), results=results, topology=list_commits(Path.cwd()))
    if format == "md" and output is None:
        typer.echo(render_markdown(study), nl=False)
    else:
        for path in write_report(study, format, output):
            typer.echo(path)
    report_left_out(study.left_out)


def _wanted(words: list[str], results: Path) -> Iterator[Path | Run]:
    """Yield the runs that words mean, or their folders; a run that is a side of two comes with the other."""
    from harness.resolve import resolve_run
    from harness.runner import open_run
    from harness.store.find import find_runs
    from harness.store.layout import RUN
    from harness.store.place import has_file, is_local, is_place, resolve_place

    for word in words:
        place = resolve_place(word)
        if is_place(word) and not has_file(place, RUN) and (found := find_runs(place)):
            yield from found
            continue
        folder = resolve_run(word, results)
        yield from open_run(folder) if is_local(folder) and len(words) == 1 else [folder]
