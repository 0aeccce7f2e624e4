"""What ``bench run`` does once it knows what is wanted: plan, measure, print."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.analysis.rows import result_tables
from harness.cli.broken import report_broken
from harness.cli.progress import Terminal
from harness.cli.table import print_json, print_plan, print_tables
from harness.core.errors import UsageError
from harness.detect import detect
from harness.plan import make_plan
from harness.run import execute, resume_run, start_run

if TYPE_CHECKING:
    from harness.catalog import Catalog
    from harness.core.suite import Policy, Selection
    from harness.store.read import Run


def measure_and_print(
    catalog: Catalog,
    name: str,
    selections: tuple[Selection, ...],
    policy: Policy,
    *,
    results: str,
    tag: list[str] | None,
    dry_run: bool,
    json: bool,
    quiet: bool,
) -> int:
    """Plan and measure a selection, and print the result; return the exit code."""
    report_broken(catalog)
    environment = detect()
    plan = make_plan(catalog, selections, policy, environment)
    if dry_run:
        print_plan(plan)
        return 0
    run = start_run(
        plan,
        Path(results),
        name,
        environment,
        command=sys.argv,
        sources=catalog.sources,
        tags=_tags(tag or []),
    )
    return _finish(run, json=json, quiet=quiet)


def resume_and_print(folder: Path, *, json: bool, quiet: bool) -> int:
    """Measure what a run lacks, and print the result; return the exit code."""
    return _finish(resume_run(folder, detect()), json=json, quiet=quiet)


def _finish(run: Run, *, json: bool, quiet: bool) -> int:
    with Terminal(run, silent=quiet) as terminal:
        run, code = execute(run, terminal.observer)
    if quiet:
        typer.echo(run.folder)
    elif json:
        print_json(run, result_tables(run.groups, run.trials), code)
    else:
        print_tables(run, result_tables(run.groups, run.trials), code)
    return code


def _tags(words: list[str]) -> dict[str, str]:
    tags = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise UsageError(f"--tag {word!r}: expected key=value")
        tags[key] = value
    return tags
