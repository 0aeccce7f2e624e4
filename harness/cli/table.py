"""Results for people and for machines, from the same rows."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from harness.cli.console import console
from harness.core.errors import EXIT_INTERRUPTED
from harness.core.metric import format_value, three_digits
from harness.core.trial import OK, SKIPPED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.ratio import Ratio
    from harness.analysis.rows import GroupTable, Row
    from harness.core.measurement import Measurement
    from harness.plan import Plan
    from harness.store.read import Run

_MEMORY = ("device_peak_allocated", "peak_memory")
_STYLES = {OK: "green", SKIPPED: "dim"}


def print_tables(run: Run, tables: Sequence[GroupTable], code: int) -> None:
    """Print a table for each group, what went wrong and what is doubtful below it, and where everything is kept."""
    out = console()
    for table in tables:
        out.print(_table(table))
        for row in table.rows:
            name = row.case.implementation
            if row.message:
                out.print(Text(f"  {name} {row.status}: {row.message}", style=_style(row)), soft_wrap=True)
            if row.flags:
                out.print(Text(f"  {name} flagged: {', '.join(row.flags)}", style="yellow"), soft_wrap=True)
        out.print()
    out.print(Text(_conditions(run), style="dim"), soft_wrap=True)
    out.print(Text(str(run.folder)), soft_wrap=True)
    if code == EXIT_INTERRUPTED:
        out.print(Text(f"interrupted; go on with: bench run --resume {run.folder}"), soft_wrap=True)


def print_plan(plan: Plan) -> None:
    """Print what would run, what would be skipped and why, and how long it may take."""
    out = console()
    for group in plan.groups:
        table = Table(title=Text(group.id), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for name in ("implementation", "memory", "plan"):
            table.add_column(name, overflow="fold")
        for planned in group.cases:
            memory = "" if planned.memory is None else format_value(planned.memory, "B")
            style = "dim" if planned.skip else ""
            plan_text = f"skip: {planned.skip}" if planned.skip else "run"
            table.add_row(*(Text(text, style=style) for text in (planned.case.implementation, memory, plan_text)))
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
    document = {"run": str(run.folder), "exit_code": code, "tags": run.meta["tags"], "groups": groups}
    typer.echo(json.dumps(_finite(document), indent=1))


def _table(table: GroupTable) -> Table:
    """Draw a group within 80 columns where names allow; a column in which no case has anything is left out."""
    columns: dict[str, list[str | Text]] = {
        "implementation": [row.case.implementation for row in table.rows],
        "time": [_timed(row) for row in table.rows],
        f"time / {table.group.baseline}": [_ratio(row.ratio) for row in table.rows],
        "throughput": [_value(row.measurements.get("flops_per_s")) for row in table.rows],
        "memory": [_first_value(row, _MEMORY) for row in table.rows],
        "error": [_value(row.measurements.get("max_abs_error")) for row in table.rows],
    }
    shown = {name: cells for name, cells in columns.items() if any(str(cell) for cell in cells)}
    drawn = Table(
        title=Text(table.group.id, style="bold"), title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    for name in shown:
        # A number that is cut is a wrong number: where there is no room, it goes on in the next line.
        drawn.add_column(name, justify="left" if name == "implementation" else "right", overflow="fold")
    for cells in zip(*shown.values(), strict=True):
        drawn.add_row(*cells)
    return drawn


def _value(measurement: Measurement | None) -> str:
    return format_value(measurement.median, measurement.unit) if measurement else ""


def _first_value(row: Row, metrics: Sequence[str]) -> str:
    return next((_value(m) for name in metrics if (m := row.measurements.get(name))), "")


def _timed(row: Row) -> str | Text:
    """Write the time with the larger side of its interval, as a percentage of the median; or how the case ended."""
    time = row.measurements.get("time")
    if row.status != OK or not time:
        return Text(row.status, style=_style(row))
    if math.isnan(time.ci_high):
        return _value(time)
    return f"{_value(time)} {_spread(time.ci_high / time.median)}"


def _ratio(ratio: Ratio | None) -> str:
    if not ratio:
        return ""
    if not math.isfinite(ratio.ci_high):
        return three_digits(ratio.value)
    return f"{three_digits(ratio.value)} {_spread(ratio.ci_high / ratio.value)}"


def _spread(factor: float) -> str:
    """Write how far an interval reaches: ``±2.3%``, or as a factor to multiply and divide by where that passes 100."""
    percentage = 100 * (factor - 1)
    if percentage >= 100:
        return f"×÷{three_digits(factor)}"  # noqa: RUF001
    return f"±{percentage:.1f}%" if percentage < 10 else f"±{percentage:.0f}%"


def _style(row: Row) -> str:
    return _STYLES.get(row.status, "red")


def _conditions(run: Run) -> str:
    """Write the machine and the policy in one line."""
    environment, policy = run.environment, run.policy
    machine = f"{environment.cpu_model}, {environment.cpus_usable} cores"
    if policy.device.startswith("cuda"):
        machine = f"{environment.gpus[int(policy.device.partition(':')[2])].name}, driver {environment.driver}"
    parts = (
        f"torch {environment.packages['torch']}",
        f"{policy.launches} launches",
        f"{policy.threads} threads",
    )
    return " · ".join((machine, *parts, f"mode {policy.mode}", f"seed {policy.seed}"))


def _json_row(row: Row) -> dict[str, Any]:
    metrics = {
        name: {
            "unit": m.unit,
            "median": m.median,
            "ci_low": m.ci_low,
            "ci_high": m.ci_high,
            "n": m.n,
            "launches": m.launches,
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


def _finite(value: Any) -> Any:
    """Replace NaN and infinities by null, which JSON has."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
