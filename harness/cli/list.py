"""``bench list``: what can be measured here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.catalog import load_catalog
from harness.cli.broken import report_broken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table
    from rich.text import Text

    from harness.core.metric import Metric


def list_command(
    load: Annotated[
        list[str] | None,
        typer.Option(help="A Python file with implementations of your own; may be repeated."),
    ] = None,
    flags: Annotated[
        bool, typer.Option("--flags", help="List the warnings that a number may have, and what they mean.")
    ] = False,
) -> None:
    """List workloads, implementations and what they need, suites, metrics, or flags."""
    if flags:
        _print_flags()
        return
    from rich.text import Text

    from harness.core.metric import METRICS
    from harness.detect import detect_environment
    from harness.plan import describe_requirements, explain_missing_cuda, find_unmet_requirement
    from harness.terminal.console import open_console

    catalog, environment, out = load_catalog(load or ()), detect_environment(), open_console()
    gpus = ", ".join(gpu.name for gpu in environment.gpus)
    here = f"{environment.cpu_model}, {environment.cpus_usable} cores; {explain_missing_cuda(environment) or gpus}"
    out.print(Text(f"This machine: {here}"), soft_wrap=True)
    for workload in catalog.workloads.values():
        out.print(Text.assemble("\n", (workload.name, "bold"), f": {workload.help}"), soft_wrap=True)
        axes = ", ".join(f"{axis.name}={axis.default}" for axis in workload.axes)
        out.print(Text(f"  axes: {axes}", style="dim"), soft_wrap=True)
        rows = []
        for one in catalog.implementations.get(workload.name, {}).values():
            runs = (
                Text("not here", style="dim")
                if find_unmet_requirement(one.requires, environment)
                else Text("here", style="green")
            )
            rows.append((one.name, runs, describe_requirements(one.requires), one.help))
        out.print(_table(rows))
        for metric in workload.metrics:
            line = f"  metric {metric.name} ({metric.unit}): {_described(metric)}"
            out.print(Text(line, style="dim"), soft_wrap=True)
        for other in workload.published:
            line = f"  published: {other.figure}, {other.setting} ({other.source})"
            out.print(Text(line, style="dim"), soft_wrap=True)
    out.print(Text("Suites", style="bold"))
    out.print(_table([(suite.name, suite.help) for suite in catalog.suites.values()]))
    out.print(Text("Metrics", style="bold"))
    out.print(_table([(one.name, one.unit, _described(one)) for one in METRICS.values()]))
    report_broken(catalog)


def _described(metric: Metric) -> str:
    """Return what a metric is, after what tables call it if that is not its name."""
    return metric.help if metric.label == metric.name.replace("_", " ") else f"{metric.label}: {metric.help}"


def _print_flags() -> None:
    from rich.text import Text

    from harness.core.flag import Flag
    from harness.terminal.console import open_console

    out = open_console()
    for flag in Flag:
        out.print(Text.assemble((flag.value, "bold"), f": {flag.help}"), soft_wrap=True)
        out.print(Text(f"  casts doubt on the {flag.doubts}", style="dim"), soft_wrap=True)


def _table(rows: Sequence[tuple[str | Text, ...]]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1))
    for position in range(len(rows[0]) if rows else 0):
        table.add_column(no_wrap=position < len(rows[0]) - 1)
    for row in rows:
        table.add_row(*row)
    return table
