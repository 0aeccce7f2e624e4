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
from harness.bisect import Bisection, Step, bisect
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
    checkout, environment = git.root(Path.cwd()), detect()
    plan = make_plan(catalog, selections, policy, environment, sides=2)
    start = partial(
        start_run,
        plan,
        Path(results),
        name,
        environment,
        command=sys.argv,
        sources=catalog.sources,
        tags=tags_of(tag or []),
    )
    budget_s = _BUDGETS * plan.estimate_s
    if dry_run:
        commits = len(git.between(checkout, *(git.commit_of(checkout, ref) for ref in (good, bad or "HEAD"))))
        typer.echo(f"{commits} commits: at most {commits.bit_length() + 1} runs of {plan.estimate_s:.0f} s of timing")
        return EXIT_OK

    def tell(step: Step) -> None:
        if not (json or quiet):
            console().print(Text(_line(checkout, step)), soft_wrap=True)

    with Terminal(plan.policy.launches, silent=json or quiet) as terminal:
        search = Bisection(
            checkout,
            lambda sides: start(revisions=sides),
            setup or "",
            read_rules(None),
            environment,
            terminal.observer,
            budget_s,
            tell,
        )
        found = bisect(search, good, bad or "HEAD")
    if json:
        steps = [{**asdict(step), "rows": [sentence(row) for row in step.rows]} for step in found.steps]
        typer.echo(json_text.dumps(finite({"suspects": found.suspects, "steps": steps}), indent=1))
    else:
        head = "the first slower commit" if len(found.suspects) == 1 else "the first slower commit is one of"
        names = [f"{commit[:12]} {git.subject(checkout, commit)}" for commit in found.suspects]
        console().print(Text(f"{head}: " + "; ".join(names), style="bold"), soft_wrap=True)
    return EXIT_OK if len(found.suspects) == 1 else EXIT_INCONCLUSIVE


def _line(checkout: Path, step: Step) -> str:
    worst = next((sentence(row) for row in step.rows if row.regressed), "")
    return f"{step.commit[:12]} {git.subject(checkout, step.commit)}: {step.outcome}{worst and f' ({worst})'}"
