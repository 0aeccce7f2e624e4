"""What ``bench bisect`` does once it knows what is wanted: search, and print each step."""

from __future__ import annotations

import json as json_text
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.text import Text

from harness import git
from harness.bisect import Bisection, Candidate, Culprit, bisect_history
from harness.cli.broken import report_broken
from harness.cli.measure import parse_tags
from harness.core.errors import EXIT_INCONCLUSIVE, EXIT_OK, UsageError
from harness.detect import detect_environment
from harness.formats.json_document import replace_infinities
from harness.formats.wording import describe_comparison
from harness.plan import make_plan
from harness.runner import start_run
from harness.store.rules import read_rules
from harness.terminal.console import open_console
from harness.terminal.progress import Terminal

if TYPE_CHECKING:
    from harness.catalog import Catalog
    from harness.core.suite import Policy, Selection
    from harness.plan import Plan

# More launches for a commit whose verdict is inconclusive may take so much time, for each case.
_BUDGETS = 4


def bisect_and_print(
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
) -> int:
    """Search for the first slower commit, and print each step; return the exit code."""
    report_broken(catalog)
    good, dots, bad = (against or "").partition("..")
    if not (good and dots):
        raise UsageError("bench bisect needs --against GOOD..BAD: two revisions, the second slower")
    checkout, environment, silent = git.find_root(Path.cwd()), detect_environment(), json or quiet
    plan = make_plan(catalog, selections, policy, environment, sides=2)
    if dry_run:
        typer.echo(_estimate(checkout, good, bad or "HEAD", plan))
        return EXIT_OK
    folder, tags, sources = Path(results), parse_tags(tag or []), catalog.sources
    start = partial(start_run, plan, folder, name, environment, command=sys.argv, sources=sources, tags=tags)
    with Terminal(plan.policy.launches, silent=silent) as terminal:
        search = Bisection(
            checkout,
            lambda sides: start(variants=sides),
            setup or "",
            read_rules(None),
            environment,
            terminal.observer,
            _BUDGETS * plan.estimate_s,
            lambda step: None if silent else open_console().print(Text(_line(checkout, step)), soft_wrap=True),
        )
        found = bisect_history(search, good, bad or "HEAD")
    _print(checkout, found, json=json)
    return EXIT_OK if len(found.suspects) == 1 else EXIT_INCONCLUSIVE


def _estimate(checkout: Path, good: str, bad: str, plan: Plan) -> str:
    commits = len(git.list_between(checkout, *(git.resolve_commit(checkout, ref) for ref in (good, bad))))
    return f"{commits} commits: at most {commits.bit_length() + 1} runs of {plan.estimate_s:.0f} s of timing"


def _print(checkout: Path, found: Culprit, *, json: bool) -> None:
    """Print the commits that are left, or everything as JSON."""
    if json:
        steps = [{**asdict(step), "rows": [describe_comparison(row) for row in step.rows]} for step in found.steps]
        typer.echo(json_text.dumps(replace_infinities({"suspects": found.suspects, "steps": steps}), indent=1))
        return
    head = "the first slower commit" if len(found.suspects) == 1 else "the first slower commit is one of"
    names = [f"{commit[:12]} {git.read_subject(checkout, commit)}" for commit in found.suspects]
    open_console().print(Text(f"{head}: " + "; ".join(names), style="bold"), soft_wrap=True)


def _line(checkout: Path, step: Candidate) -> str:
    worst = next((describe_comparison(row) for row in step.rows if row.regressed), "")
    return f"{step.commit[:12]} {git.read_subject(checkout, step.commit)}: {step.outcome}{worst and f' ({worst})'}"
