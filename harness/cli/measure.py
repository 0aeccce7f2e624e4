"""What ``bench run`` does once it knows what is wanted: plan, measure, print."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.analysis.rows import build_result_tables
from harness.cli.broken import report_broken
from harness.cli.failure import name_kept_run
from harness.cli.options import parse_option
from harness.cli.page import write_page
from harness.core.axis import parse_count
from harness.core.errors import EXIT_OK, UsageError
from harness.detect import detect_environment
from harness.launch.controller.hosts import ALONE
from harness.launch.node.rendezvous import in_agent, join_hosts, run_under_agent
from harness.plan import make_plan
from harness.revisions import parse_revisions
from harness.runner import execute_run, resume_run, start_run
from harness.store.rules import read_rules
from harness.terminal.comparison import print_comparison
from harness.terminal.progress import Terminal
from harness.terminal.tables import print_json, print_plan, print_tables

if TYPE_CHECKING:
    from harness.catalog import Catalog
    from harness.core.run import Run
    from harness.core.suite import Policy, Selection
    from harness.launch.controller.hosts import Hosts


def measure_and_print(
    catalog: Catalog,
    name: str,
    selections: tuple[Selection, ...],
    policy: Policy,
    *,
    against: str | None,
    setup: str | None,
    results: str,
    tag: list[str] | None,
    dry_run: bool,
    json: bool,
    quiet: bool,
    nnodes: str | None,
    rdzv: str | None,
) -> int:
    """Plan and measure a selection, and print the result; return the exit code.

    On several hosts the command runs twice on each: to start an agent, and under it once all have met.
    """
    report_broken(catalog)
    if setup and not against:
        raise UsageError("--setup builds a revision; name one with --against")
    count = _count_of_hosts(nnodes, rdzv, against)
    hosts = join_hosts(catalog.sources, typer.echo) if count > 1 and in_agent() else ALONE
    if isinstance(hosts, int):
        return hosts
    environment = replace(detect_environment(), hosts=hosts.names)
    variants = parse_revisions(against, setup or "") if against else ()
    plan = make_plan(catalog, selections, replace(policy, nodes=count), environment, sides=len(variants) or 1)
    if dry_run:
        print_plan(plan)
        return EXIT_OK
    read_rules(None)  # what the page needs is refused before anything is measured
    if rdzv and hosts is ALONE:
        return run_under_agent(count, rdzv, sys.argv)
    runs = start_run(
        plan,
        Path(results),
        name,
        environment,
        command=sys.argv,
        sources=catalog.sources,
        tags=parse_tags(tag or []),
        variants=variants,
    )
    code = _finish(runs, hosts, json=json, quiet=quiet)
    hosts.finish(code)
    return code


def resume_and_print(folder: Path, *, json: bool, quiet: bool) -> int:
    """Measure what a run lacks, and print the result; return the exit code."""
    read_rules(None)
    return _finish(resume_run(folder, detect_environment()), ALONE, json=json, quiet=quiet)


def _finish(runs: tuple[Run, ...], hosts: Hosts, *, json: bool, quiet: bool) -> int:
    with Terminal(runs[-1].launches, silent=quiet) as terminal:
        runs, code = execute_run(runs, terminal.observer, hosts)
    report = write_page(runs)
    with name_kept_run(runs[-1].folder):
        if quiet:
            typer.echo(runs[-1].folder)
        elif len(runs) > 1:
            print_comparison(*runs, json=json, code=code)
        elif json:
            print_json(runs[0], build_result_tables(runs[0]), code)
        else:
            print_tables(runs[0], build_result_tables(runs[0]), code)
        if report and not (quiet or json):
            typer.echo(report)
    return code


def _count_of_hosts(nnodes: str | None, rdzv: str | None, against: str | None) -> int:
    """Return how many hosts take part.

    Raises:
        UsageError: they cannot meet, or there is more than one and two revisions to compare.
    """
    count = int(parse_option("--nnodes", nnodes, parse_count)) if nnodes else 1
    if count > 1 and not rdzv:
        raise UsageError(f"--nnodes {count}: name the place where the hosts meet with --rdzv HOST:PORT")
    if rdzv and count == 1:
        raise UsageError(f"--rdzv {rdzv}: say how many hosts meet there with --nnodes")
    if rdzv and not re.fullmatch(r".+:\d+", rdzv):
        raise UsageError(f"--rdzv {rdzv}: expected HOST:PORT")
    if count > 1 and against:
        raise UsageError("--against takes one host: revisions are checked out on this one alone")
    return count


def parse_tags(words: list[str]) -> dict[str, str]:
    """Return ``key=value`` words as a table.

    Raises:
        UsageError: a word is something else.
    """
    tags = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise UsageError(f"--tag {word!r}: expected key=value")
        tags[key] = value
    return tags
