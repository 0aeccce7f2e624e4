"""Results for people and for machines, from the same rows."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from harness.analysis.columns import TIME, find_filled_columns, find_undeclared_metrics
from harness.core.errors import EXIT_INTERRUPTED
from harness.core.metric import format_value
from harness.core.trial import OK, SKIPPED
from harness.formats.cells import format_cell, format_ratio
from harness.formats.json_document import replace_infinities
from harness.terminal.console import open_console

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.rows import GroupTable, ResultRow
    from harness.core.run import Run
    from harness.plan import Plan

_STYLES = {OK: "green", SKIPPED: "dim"}


def print_tables(run: Run, tables: Sequence[GroupTable], code: int) -> None:
    """Print a table for each group, what went wrong and what is doubtful below it, and where everything is kept."""
    out = open_console()
    for table in tables:
        # Not as the table's title, which would be folded to its width.
        out.print(Text(table.group.id, style="bold"), soft_wrap=True)
        out.print(_table(table))
        for row in table.rows:
            name = row.case.implementation
            if row.message:
                out.print(Text(f"  {name} {row.status}: {row.message}", style=_style(row)), soft_wrap=True)
            if row.flags:
                out.print(Text(f"  {name} flagged: {', '.join(row.flags)}", style="yellow"), soft_wrap=True)
        out.print()
    out.print(Text(_conditions(run), style="dim"), soft_wrap=True)
    for line in dict.fromkeys(line for table in tables for row in table.rows if (line := _energy(row))):
        out.print(Text(line, style="dim"), soft_wrap=True)
    for line in _undeclared(run, tables):
        out.print(Text(line, style="yellow"), soft_wrap=True)
    out.print(Text(str(run.folder)), soft_wrap=True)
    if code == EXIT_INTERRUPTED:
        out.print(Text(f"interrupted; go on with: bench run --resume {run.folder}"), soft_wrap=True)


def print_plan(plan: Plan) -> None:
    """Print what would run, what would be skipped and why, and how long it may take."""
    out = open_console()
    for group in plan.groups:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("implementation", "memory", "plan"):
            table.add_column(name, overflow="fold")
        for planned in group.cases:
            memory = "" if planned.memory is None else format_value(planned.memory, "B")
            style = "dim" if planned.skip else ""
            plan_text = f"skip: {planned.skip}" if planned.skip else "run"
            table.add_row(*(Text(text, style=style) for text in (planned.case.implementation, memory, plan_text)))
        out.print(Text(group.id), soft_wrap=True)
        out.print(table)
        if not group.interleaved:
            out.print(Text("  one at a time: these do not fit the memory side by side"), soft_wrap=True)
    policy = plan.policy
    out.print(
        Text(
            f"{plan.runnable} cases on {policy.device} in {policy.launches} launches; "
            f"at most {plan.estimate_s:.0f} s of timing, and the checks, warm-ups and memory passes"
        ),
        soft_wrap=True,
    )


def print_json(run: Run, tables: Sequence[GroupTable], code: int) -> None:
    """Print the rows of every group as one JSON document."""
    groups = [
        {
            "group": table.group.id,
            "baseline": table.group.baseline,
            "interleaved": table.group.interleaved,
            "rows": [_json_row(row) for row in table.rows],
        }
        for table in tables
    ]
    document = {"run": str(run.folder), "exit_code": code, "tags": run.description.tags, "groups": groups}
    typer.echo(json.dumps(replace_infinities(document), indent=1))


def _table(table: GroupTable) -> Table:
    """Draw a group within 80 columns where names allow; a column in which no case has anything is left out."""
    rows = table.rows
    columns: list[tuple[str, Sequence[str | Text]]] = [
        ("implementation", [row.case.implementation for row in rows]),
        (TIME.head, [_timed(row) for row in rows]),
        (f"time / {table.group.baseline}", [format_ratio(row.ratio) for row in rows]),
    ]
    columns += [
        (column.head, [format_cell(column, one) for one in found])
        for column, found in find_filled_columns(rows, brief=True)
        if column is not TIME
    ]
    shown = [(head, cells) for head, cells in columns if any(map(str, cells))]
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for head, _ in shown:
        # A number that is cut is a wrong number: where there is no room, it goes on in the next line.
        drawn.add_column(head, justify="left" if head == "implementation" else "right", overflow="fold")
    for cells in zip(*(cells for _, cells in shown), strict=True):
        drawn.add_row(*cells)
    return drawn


def _timed(row: ResultRow) -> str | Text:
    """Write the time with its interval, or how the case ended."""
    return format_cell(TIME, TIME.find(row)) or Text(row.status, style=_style(row))


def _energy(row: ResultRow) -> str:
    """Write where the energy of a case comes from, or why there is none."""
    found = row.measurements.get("energy_gross")
    return f"energy {found.provenance}" if found else ""


def _undeclared(run: Run, tables: Sequence[GroupTable]) -> Iterator[str]:
    """Yield a line for each workload whose check reports numbers that nobody declares; older runs declare none."""
    if run.description.metrics is None:
        return
    for workload, names in find_undeclared_metrics(
        [row for table in tables for row in table.rows], run.metrics
    ).items():
        yield (
            f"{workload}: its check reports {', '.join(names)} without a declaration: plain numbers, never compared; "
            "declare them with Workload(metrics=...)"
        )


def _style(row: ResultRow) -> str:
    return _STYLES.get(row.status, "red")


def _conditions(run: Run) -> str:
    """Write the machine and the policy in one line."""
    environment, policy = run.environment, run.policy
    machine = f"{environment.cpu_model}, {environment.cpus_usable} cores"
    if policy.device.startswith("cuda"):
        machine = f"{environment.gpus[int(policy.device.partition(':')[2])].name}, driver {environment.driver}"
    if environment.hosts:
        machine += f", hosts {', '.join(environment.hosts)}"
    parts = (
        f"torch {environment.packages['torch']}",
        f"{policy.launches} launches",
        f"{policy.threads} threads",
    )
    return " · ".join((machine, *parts, f"mode {policy.mode}", f"seed {policy.seed}"))


def _json_row(row: ResultRow) -> dict[str, Any]:
    metrics = {
        name: {
            "unit": m.unit,
            "median": m.median,
            "ci_low": m.ci_low,
            "ci_high": m.ci_high,
            "n": m.n,
            "launches": m.launches,
            "provenance": m.provenance,
        }
        for name, m in row.measurements.items()
    }
    return {
        "case": row.case.id,
        "implementation": row.case.implementation,
        "params": row.case.params,
        "status": row.status,
        "message": row.message,
        "ratio": asdict(row.ratio) if row.ratio else None,
        "metrics": metrics,
        "flags": list(row.flags),
    }
