"""``bench history``: what became of each case over the runs that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

# Folders that cannot be read and are named where no other can.
_NAMED = 3


def history_command(
    case: Annotated[
        str, typer.Argument(help="A case, a part of its name, or a pattern with * and ?; all where left out.")
    ] = "",
    since: Annotated[
        str | None, typer.Option(metavar="REVISION", help="Leave out what was measured of its ancestors.")
    ] = None,
    metric: Annotated[str, typer.Option(help="What to look at; bench list names all metrics.")] = "time",
    results: Annotated[Path, typer.Option(help="The folder in which runs are kept.")] = Path("results"),
    json: Annotated[bool, typer.Option("--json", help="Print the history as JSON.")] = False,
) -> int:
    """Find where a case became slower or faster over all runs that are kept, and between which commits."""
    from harness.analysis.history import build_history
    from harness.core.errors import UsageError, make_unknown_error
    from harness.core.matching import match_cases
    from harness.git import list_ancestors, list_commits, resolve_commit
    from harness.store.find import find_runs
    from harness.store.measured_run import read_measured_runs
    from harness.terminal.history import print_history, print_history_json

    runs, unreadable = read_measured_runs(find_runs(results))
    if not runs:
        raise UsageError("; ".join([f"there is no complete run in {results}", *unreadable[:_NAMED]]))
    cases = match_cases({row.case for run in runs for row in run.measurements}, case)
    metrics = {row.metric for run in runs for row in run.measurements if row.case.id in cases}
    if metric not in metrics:
        raise make_unknown_error("metric", metric, metrics)
    here, kept = Path.cwd(), runs
    commits = list_commits(here)
    if since is not None:
        later = set(commits) - set(list_ancestors(here, resolve_commit(here, since))[1:])
        kept = [run for run in runs if run.description.environment.git_commit in later]
    found = build_history(kept, metric, cases, commits)
    if json:
        print_history_json(found, unreadable)
    else:
        print_history(found, unreadable, len(runs) - len(kept))
    return 0
