"""Comparisons for people and for machines, from the same rows."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from harness.analysis.compare import RunComparison, compare_runs
from harness.core.comparison import EQUIVALENT, IMPROVEMENTS, REGRESSIONS
from harness.core.errors import EXIT_INTERRUPTED
from harness.core.metric import PRIMARY, format_number, format_value
from harness.formats.cells import format_interval
from harness.formats.json_document import replace_infinities
from harness.formats.wording import summarize_verdicts
from harness.store.rules import read_rules
from harness.terminal.console import open_console

if TYPE_CHECKING:
    from harness.core.comparison import Comparison, Verdict
    from harness.core.run import Run


def print_comparison(base: Run, new: Run, *, json: bool, code: int) -> None:
    """Print what came of two revisions that took turns."""
    report = compare_runs(base, new, read_rules(None))
    if json:
        print_report_json(report)
        return
    print_report(report)
    out = open_console()
    out.print(Text(str(new.folder)), soft_wrap=True)
    if code == EXIT_INTERRUPTED:
        out.print(Text(f"interrupted; go on with: bench run --resume {new.folder}"), soft_wrap=True)


def print_report(report: RunComparison) -> None:
    """Print a line for each case's time and each other metric that changed, and below it what all of them come to."""
    out = open_console()
    out.print(Text(f"base  {_side(report.base)}\nnew   {_side(report.new)}\n", style="dim"), soft_wrap=True)
    shown = [row for row in report.rows if row.metric in ("", PRIMARY) or row.verdict != EQUIVALENT]
    for group in dict.fromkeys(row.case.group for row in shown):
        out.print(_table(group, [row for row in shown if row.case.group == group]))
    for row in shown:
        if row.note:
            line = f"  {_name(row)} {row.verdict}: {row.note}"
            out.print(Text(line, style=_style(row.verdict)), soft_wrap=True)
    hidden = len(report.rows) - len(shown)
    if hidden:
        out.print(Text(f"  {hidden} more comparisons of other metrics: equivalent", style="dim"), soft_wrap=True)
    out.print(Text(summarize_verdicts(report), style="bold"), soft_wrap=True)


def serialize_comparison(report: RunComparison) -> dict[str, Any]:
    """Return a comparison as data for machines."""
    rows = [{**_fields(row), "case": row.case.id, "params": row.case.params} for row in report.rows]
    return {
        "base": str(report.base.folder),
        "new": str(report.new.folder),
        "differences": list(report.differences),
        "geometric_mean": report.geometric_mean,
        "comparisons": rows,
    }


def _fields(row: Comparison) -> dict[str, Any]:
    return {name: value for name, value in asdict(row).items() if name != "own"}


def print_report_json(report: RunComparison) -> None:
    """Print a comparison as one JSON document."""
    typer.echo(json.dumps(replace_infinities(serialize_comparison(report)), indent=1))


def _side(run: Run) -> str:
    """Write which run a side is: its name, and the revision that it measured."""
    environment = run.environment
    commit = f" · {environment.git_commit[:12]}{' with changes' if environment.git_dirty else ''}"
    launches = f"{run.launches} launch{'es' if run.launches > 1 else ''}"
    return f"{run.id}{commit if environment.git_commit else ''} · {launches}"


def _table(group: str, rows: list[Comparison]) -> Table:
    drawn = Table(title=Text(group, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("implementation", "base", "new", "new / base", "verdict", "would see"):
        words = name in ("implementation", "verdict")
        # A number that is cut is a wrong number; a long name may go on in the next line.
        drawn.add_column(name, justify="left" if words else "right", no_wrap=name == "verdict", overflow="fold")
    for row in rows:
        unit = row.kind.unit if row.metric else ""
        drawn.add_row(
            _name(row),
            _value(row.base, unit),
            _value(row.new, unit),
            _ratio(row),
            Text(row.verdict, style=_style(row.verdict)),
            _detectable(row.detectable),
        )
    return drawn


def _name(row: Comparison) -> str:
    """Name the implementation, and the metric where it is not the time."""
    return row.case.implementation if row.metric in ("", PRIMARY) else f"{row.case.implementation} {row.metric}"


def _value(value: float, unit: str) -> str:
    return "" if math.isnan(value) else format_value(value, unit)


def _ratio(row: Comparison) -> str:
    if math.isnan(row.ratio):
        return ""
    if not math.isfinite(row.ci_high):
        return format_number(row.ratio)
    return f"{row.ratio:.3f} {format_interval(row.ci_high / row.ratio)}"


def _detectable(change: float) -> str:
    if not math.isfinite(change):
        return ""
    return f"{change:.1%}" if change < 1 else f"×{format_number(1 + change)}"  # noqa: RUF001


def _style(verdict: Verdict) -> str:
    if verdict in REGRESSIONS:
        return "red"
    return "green" if verdict in IMPROVEMENTS else "dim" if verdict == EQUIVALENT else "yellow"
