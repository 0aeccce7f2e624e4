"""``bench compare``: what two runs say of each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

RESULTS = Annotated[Path, typer.Option(help="The folder in which runs are kept.")]
MARGIN = Annotated[str | None, typer.Option(help="The change of a time that matters to nobody. [default: 1%]")]
FDR = Annotated[str | None, typer.Option(help="The share of alarms that may be false. [default: 5%]")]
RULES = Annotated[
    Path | None,
    typer.Option(help="Margins by workload and metric, and accepted changes. [default: .benchwright.toml, if there]"),
]
DESPITE = Annotated[
    list[str] | None,
    typer.Option(metavar="CONDITION", help="A condition in which the runs may differ all the same; may be repeated."),
]


def compare_command(
    base: Annotated[str, typer.Argument(help="A run's folder or name, a baseline, or a revision that was measured.")],
    new: Annotated[str, typer.Argument(help="The side that is judged; the newest run where left out.")] = "latest",
    margin: MARGIN = None,
    fdr: FDR = None,
    rules: RULES = None,
    across_machines: Annotated[
        bool,
        typer.Option("--across-machines", help="Compare ratios to the baseline, each taken within its own machine."),
    ] = False,
    despite: DESPITE = None,
    results: RESULTS = Path("results"),
    json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> int:
    """Say of two runs, for every case and metric: faster, slower, equivalent or inconclusive."""
    from harness.analysis.compare import compare_runs
    from harness.core.errors import UsageError
    from harness.core.rules import apply_margin
    from harness.formats.wording import describe_comparison
    from harness.resolve import resolve_run
    from harness.store.read import read_run
    from harness.store.rules import read_rules
    from harness.terminal.comparison import print_report, print_report_json

    judged = read_run(resolve_run(new, results))
    against = read_run(resolve_run(base, results, judged.environment.fingerprint, but=judged.id))
    if judged.folder.resolve() == against.folder.resolve():
        raise UsageError(f"{base} and {new} are the same run, {judged.folder}")
    found = apply_margin(read_rules(rules), margin, fdr)
    report = compare_runs(against, judged, found, across=across_machines, despite=despite or ())
    if not report.rows:
        raise UsageError("nothing to compare: no case was measured in either run")
    (print_report_json if json else print_report)(report)
    if report.uncompared and not report.compared:
        first = report.uncompared[0]
        raise UsageError(f"nothing was compared: {first.case.id} {describe_comparison(first)}")
    return 0
