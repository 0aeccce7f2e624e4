"""Histories for people and for machines, from the same series."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from harness.analysis.change_points import CHANGED, DRIFT, STABLE
from harness.analysis.history import BY_COMMIT
from harness.core.comparison import IMPROVEMENTS, REGRESSIONS
from harness.core.metric import format_value
from harness.formats.changes import describe_change, format_commit
from harness.formats.command import can_be_bisected, write_bisect_command
from harness.formats.json_document import replace_infinities
from harness.terminal.console import open_console
from harness.terminal.plots import draw_sparkline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.history import History, Series, Where

# A trend has this many blocks, or fewer where the terminal leaves no room beside the other columns.
_WIDTH, _FEWEST, _OTHERS = 40, 12, 56
_NAMED = 5


def print_history(history: History, unreadable: Sequence[str], earlier: int) -> None:
    """Print a table for each group with what changed below it, then changes of environment and what is left out.

    Args:
        history: what to print.
        unreadable: why folders could not be read.
        earlier: how many runs are left out because of their commits.
    """
    out = open_console()
    for group in dict.fromkeys(series.where.case.group for series in history.series):
        mine = [series for series in history.series if series.where.case.group == group]
        names = _names(mine)
        out.print(Text(group, style="bold"), soft_wrap=True)
        out.print(_table(mine, names, max(_FEWEST, min(_WIDTH, out.width - _OTHERS))))
        for series in mine:
            for line, style in _lines(series, names[series.where]):
                out.print(Text(f"  {line}", style=style), soft_wrap=True)
        out.print()
    for change in history.environment_changes:
        cases = change.cases[0] if len(change.cases) == 1 else f"{len(change.cases)} cases"
        line = f"environment @{change.before[:6]} -> @{change.after[:6]} of {cases} from {change.run}: "
        out.print(Text(line + "; ".join(change.differences), style="yellow"), soft_wrap=True)
    for line in _notes(history.series, earlier):
        out.print(Text(line, style="dim"), soft_wrap=True)
    for line in unreadable:
        out.print(Text(f"left out: {line}", style="yellow"), soft_wrap=True)


def print_history_json(history: History, unreadable: Sequence[str]) -> None:
    """Print a history as one JSON document."""
    document = {
        "series": [_json_series(series) for series in history.series],
        "environment_changes": [asdict(change) for change in history.environment_changes],
        "unreadable": list(unreadable),
    }
    typer.echo(json.dumps(replace_infinities(document), indent=1))


def _table(mine: Sequence[Series], names: dict[Where, str], width: int) -> Table:
    drawn = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for name in ("implementation", "runs", "trend", "latest", "verdict"):
        fixed = name in ("runs", "trend", "latest")
        drawn.add_column(
            name, justify="right" if name in ("runs", "latest") else "left", no_wrap=fixed, overflow="fold"
        )
    for series in mine:
        values = [point.value for point in series.points]
        drawn.add_row(
            names[series.where],
            str(len(values)),
            draw_sparkline(values, width),
            format_value(values[-1], series.unit),
            Text(_verdict(series), style=_style(series)),
        )
    return drawn


def _names(mine: Sequence[Series]) -> dict[Where, str]:
    """Return how to call each series of a group: by its implementation, and by what else tells it from its like."""
    names = {}
    for series in mine:
        where = series.where
        marks = {"environment": f"@{where.environment[:6]}", "device": where.device}
        marks |= {"threads": f"{where.threads} threads", "mode": where.mode}
        same = [other.where for other in mine if other.where.case == where.case]
        telling = [mark for field, mark in marks.items() if len({getattr(other, field) for other in same}) > 1]
        names[where] = " ".join([where.case.implementation, *telling])
    return names


def _verdict(series: Series) -> str:
    if series.needed:
        return f"needs {series.needed} more {'runs' if series.needed > 1 else 'run'}"
    if series.label == CHANGED:
        return f"{len(series.changes)} {'changes' if len(series.changes) > 1 else 'change'}"
    return f"{series.label} {series.drift:+.1%}" if series.label == DRIFT else series.label


def _style(series: Series) -> str:
    if series.label == STABLE:
        return "green"
    return _colour(series.changes[-1].direction if series.changes else series.direction)


def _colour(direction: str) -> str:
    return "red" if direction in REGRESSIONS else "green" if direction in IMPROVEMENTS else "yellow"


def _lines(series: Series, name: str) -> Iterator[tuple[str, str]]:
    """Yield what is to be said of one series below its table, each line with its style."""
    if series.note:
        yield f"{name} {series.label}: {series.note}", "yellow"
    if series.label == DRIFT:
        ends = f"{format_commit(series.points[0])}..{format_commit(series.points[-1])}"
        yield f"{name} drifts {series.direction}, {series.drift:+.1%} over {ends}", _colour(series.direction)
    for step in series.changes:
        yield f"{name} {describe_change(step)}", _colour(step.direction)
        if can_be_bisected(step):
            yield f"  {write_bisect_command(series.where.case, step)}", "dim"


def _notes(series: Sequence[Series], earlier: int) -> Iterator[str]:
    """Yield by what points are in order, and which runs are not among them."""
    unknown = [point for one in series if one.ordered_by != BY_COMMIT for point in one.points if not point.known]
    if any(one.ordered_by == BY_COMMIT for one in series):
        yield "ordered by commit, and runs of one commit by time"
    if unknown:
        commits = list(dict.fromkeys(format_commit(point) for point in unknown))
        more = f" and {len(commits) - _NAMED} more" if len(commits) > _NAMED else ""
        yield f"ordered by time where git does not know every commit: {', '.join(commits[:_NAMED])}{more}"
    if earlier:
        yield f"left out: {earlier} runs of earlier commits, or of ones that git does not know"


def _json_series(series: Series) -> dict[str, Any]:
    changes = [
        {
            **asdict(step.change),
            "direction": step.direction,
            "last_before": step.before.commit,
            "first_after": step.after.commit,
        }
        for step in series.changes
    ]
    data = {**series.where._asdict(), "case": series.where.case.id, **asdict(series), "changes": changes}
    del data["where"]
    return data
