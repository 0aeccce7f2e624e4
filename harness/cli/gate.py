"""``bench gate``: may this change pass?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.compare import DESPITE, FDR, MARGIN, RESULTS, RULES  # noqa: TC001


def gate_command(
    run: Annotated[str, typer.Argument(help="The run that is judged: a folder, a name, or `latest`.")] = "latest",
    baseline: Annotated[
        str | None,
        typer.Option(
            help="A baseline, a run, or a revision: the nearest ancestor that was measured on such a machine. "
            "[default: the other side of a run that was made with --against, else main]"
        ),
    ] = None,
    margin: MARGIN = None,
    fdr: FDR = None,
    rules: RULES = None,
    despite: DESPITE = None,
    budget: Annotated[
        str, typer.Option(help="Time for more launches where the verdict is inconclusive; 0 for none.")
    ] = "5m",
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML there.")] = None,
    self_test: Annotated[
        bool,
        typer.Option("--self-test", help="Measure the run's cases as they are, again, and slowed: is the gate right?"),
    ] = False,
    planted: Annotated[str, typer.Option(help="With --self-test: how much longer a slowed step takes.")] = "5%",
    results: RESULTS = Path("results"),
    json: Annotated[bool, typer.Option("--json", help="Print the decision as JSON.")] = False,
) -> int:
    """Judge a run against its base: exit code 0 if nothing is worse, 1 for a regression, 3 if it cannot be told.

    The exit code is 2 where there is nothing to compare with: the base does not import, was skipped, or failed.
    """
    from harness.cli.judge import judge_and_print, self_test_and_print
    from harness.core.rules import apply_margin
    from harness.resolve import resolve_run
    from harness.store.rules import read_rules

    found = apply_margin(read_rules(rules), margin, fdr)
    folder = resolve_run(run, results)
    if self_test:
        return self_test_and_print(folder, found, budget=budget, planted=planted, json=json)
    return judge_and_print(
        folder, baseline, results, found, budget=budget, despite=despite or (), junit=junit, json=json
    )
