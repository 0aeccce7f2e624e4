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
from harness.bisect import Bisection, Found, Step, bisect
from harness.cli.broken import report_broken
from harness.cli.console import console
from harness.cli.measure import tags_of
from harness.cli.progress import Terminal
from harness.core.errors import EXIT_INCONCLUSIVE, EXIT_OK, UsageError
from harness.detect import detect
from harness.formats.json_document import finite
from harness.formats.sentence import sentence
from harness.plan import make_plan
from harness.run import start_run
from harness.store.rules import read_rules

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
    checkout, environment, silent = git.root(Path.cwd()), detect(), json or quiet
    plan = make_plan(catalog, selections, policy, environment, sides=2)
    if dry_run:
        typer.echo(_estimate(checkout, good, bad or "HEAD", plan))
        return EXIT_OK
    folder, tags, sources = Path(results), tags_of(tag or []), catalog.sources
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
            lambda step: None if silent else console().print(Text(_line(checkout, step)), soft_wrap=True),
        )
        found = bisect(search, good, bad or "HEAD")
    _print(checkout, found, json=json)
    return EXIT_OK if len(found.suspects) == 1 else EXIT_INCONCLUSIVE


def _estimate(checkout: Path, good: str, bad: str, plan: Plan) -> str:
    commits = len(git.between(checkout, *(git.commit_of(checkout, ref) for ref in (good, bad))))
    return f"{commits} commits: at most {commits.bit_length() + 1} runs of {plan.estimate_s:.0f} s of timing"


def _print(checkout: Path, found: Found, *, json: bool) -> None:
    """Print the commits that are left, or everything as JSON."""
    if json:
        steps = [{**asdict(step), "rows": [sentence(row) for row in step.rows]} for step in found.steps]
        typer.echo(json_text.dumps(finite({"suspects": found.suspects, "steps": steps}), indent=1))
        return
    head = "the first slower commit" if len(found.suspects) == 1 else "the first slower commit is one of"
    names = [f"{commit[:12]} {git.subject(checkout, commit)}" for commit in found.suspects]
    console().print(Text(f"{head}: " + "; ".join(names), style="bold"), soft_wrap=True)


def _line(checkout: Path, step: Step) -> str:
    worst = next((sentence(row) for row in step.rows if row.regressed), "")
    return f"{step.commit[:12]} {git.subject(checkout, step.commit)}: {step.outcome}{worst and f' ({worst})'}"
