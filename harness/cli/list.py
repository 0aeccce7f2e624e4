"""``bench list``: what can be measured here."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.catalog import load_catalog
from harness.cli.broken import report_broken


def list_command(
    load: Annotated[
        list[str] | None,
        typer.Option(help="A Python file with implementations of your own; may be repeated."),
    ] = None,
) -> None:
    """List workloads, implementations and what they need, suites, and metrics."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from harness.core.metric import METRICS
    from harness.detect import detect
    from harness.plan import unmet

    catalog, environment = load_catalog(load or ()), detect()
    console = Console(highlight=False)
    for workload in catalog.workloads.values():
        console.print(Text.assemble((workload.name, "bold"), f": {workload.help}"), soft_wrap=True)
        axes = ", ".join(f"{axis.name}={axis.default}" for axis in workload.axes)
        console.print(Text(f"  axes: {axes}", style="dim"), soft_wrap=True)
        table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1))
        for one in catalog.implementations.get(workload.name, {}).values():
            reason = unmet(one.requires, environment)
            table.add_row(one.name, Text(reason or "here", style="dim" if reason else "green"), Text(one.help))
        console.print(table)
    for title, entries in (
        ("Suites", {suite.name: suite.help for suite in catalog.suites.values()}),
        ("Metrics", {metric.name: f"{metric.unit}: {metric.help}" for metric in METRICS.values()}),
    ):
        table = Table(box=box.SIMPLE, show_header=False, padding=(0, 1))
        for name, help in entries.items():
            table.add_row(name, Text(help))
        console.print(Text(title, style="bold"))
        console.print(table)
    report_broken(catalog)
