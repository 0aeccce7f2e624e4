"""``bench site``: all runs as a folder for any static host."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def site_command(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FOLDER", help="The folder of the site; an older site is replaced."),
    ],
    results: Annotated[str, typer.Argument(help="A folder of runs, a pattern or a URL.")] = "results",
) -> None:
    """Write pages of all runs, machines and their history, for any static host.

    Pages of runs that have not changed are kept as they are.
    """
    from harness.git import list_commits
    from harness.report.site import write_site
    from harness.report.site_folder import check_replaceable
    from harness.store.gather import gather_runs
    from harness.store.rules import read_rules
    from harness.terminal.run_list import report_left_out

    check_replaceable(output)
    with gather_runs([results]) as sources:
        found = write_site(sources, output, rules=read_rules(None), topology=list_commits(Path.cwd()))
    report_left_out(found.left_out)
    typer.echo(f"{output / 'index.html'}: {found.runs} runs; {found.made} of {found.pages} pages are new")
