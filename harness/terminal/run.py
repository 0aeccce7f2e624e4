"""A run that was measured before, for people: what it was, its tables again, plots of them, and what failed."""

from __future__ import annotations

import math
import shlex
from pathlib import PurePath
from typing import TYPE_CHECKING

from rich.text import Text

from harness.analysis.columns import TIME
from harness.analysis.pairing import compute_round_medians
from harness.core.case import describe_point
from harness.core.metric import PRIMARY, find_metric
from harness.core.run_description import RUNNING
from harness.core.trial import OK, group_trials
from harness.formats.cells import format_cell
from harness.terminal.console import open_console
from harness.terminal.plots import Bar, draw_bar_chart, draw_histogram, draw_scaling, fit_names
from harness.terminal.tables import print_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import Console

    from harness.analysis.rows import GroupTable, ResultRow
    from harness.core.case import Case
    from harness.core.run import Run
    from harness.core.trial import Trial

# No plot is wider: the eye would lose the line.
_WIDEST = 110
_UNIT = find_metric(PRIMARY).unit
# Values of an axis from which one can speak of scaling.
_SCALES_FROM = 3
_LOG_LINES = 8


def print_run(run: Run, tables: Sequence[GroupTable]) -> None:
    """Print a run: what it is, its tables, plots of each group and over each axis, and its failures with their logs."""
    out = open_console()
    out.print(Text(" · ".join(_what(run)), style="bold"), soft_wrap=True)
    if not run.complete:
        out.print(Text(_state(run), style="yellow"), soft_wrap=True)
    out.print()
    print_tables(run, tables, code=0)
    trials = group_trials(run.trials)
    for table in tables:
        _print_plots(out, table, trials)
    for title, plot in _over_axes(tables, _width(out)):
        out.print(Text(f"\n{title}", style="bold"), soft_wrap=True)
        out.print(plot, soft_wrap=True)
    _print_failures(out, run)


def _width(out: Console) -> int:
    return min(_WIDEST, out.width)


def _what(run: Run) -> Iterator[str]:
    """Yield when a run was, what, where, of which commit, and whether it came to its end."""
    described, environment = run.description, run.environment
    yield f"{described.started_at[:19].replace('T', ' ')} UTC"
    name, *words = described.command or ("bench",)
    yield shlex.join([PurePath(name).name, *words])
    if environment.host:
        yield environment.host
    if environment.git_commit:
        changes = " with changes" if environment.git_dirty else ""
        yield f"commit {environment.git_commit[:12]}{changes}"
    if described.variant:
        yield f"side {described.variant.role} {described.variant.ref}".rstrip()
    yield described.state


def _state(run: Run) -> str:
    """Write what there is of a run that has not come to its end, and how it goes on."""
    trials = f"{len(run.trials)} trial{'' if len(run.trials) == 1 else 's'} so far"
    resume = f"bench run --resume {shlex.quote(str(run.folder))}"
    if run.description.state == RUNNING:
        return f"not at its end: {trials}; if it was killed, go on with: {resume}"
    return f"interrupted: {trials}; go on with: {resume}"


def _print_plots(out: Console, table: GroupTable, trials: Mapping[Case, list[Trial]]) -> None:
    rows = [row for row in table.rows if _time(row) > 0]
    if not rows:
        return
    out.print(Text(f"\n{table.group.id}", style="bold"), soft_wrap=True)
    out.print(draw_bar_chart([_bar(row) for row in rows], _UNIT, _width(out)), soft_wrap=True)
    out.print(Text("medians of rounds, each on a scale of its own; ▲ the median of a launch"), soft_wrap=True)
    names = fit_names([row.case.implementation for row in rows], _width(out))
    for name, row in zip(names, rows, strict=True):
        values = [list(rounds.values()) for rounds in compute_round_medians(trials[row.case]).values()]
        if values and all(math.isfinite(value) for launch in values for value in launch):
            out.print(draw_histogram(name, values, _UNIT, _width(out)), soft_wrap=True)


def _time(row: ResultRow) -> float:
    """Return the median of a case's time; NaN where it has none that could be drawn."""
    found = row.measurements.get(PRIMARY)
    return found.median if found and row.status == OK and math.isfinite(found.median) else math.nan


def _bar(row: ResultRow) -> Bar:
    time = row.measurements[PRIMARY]
    return Bar(row.case.implementation, time.median, time.ci_low, time.ci_high, format_cell(TIME, time))


def _over_axes(tables: Sequence[GroupTable], width: int) -> Iterator[tuple[str, Text]]:
    """Yield a plot for each numeric axis along which a workload was measured at several values, the others fixed."""
    lines: dict[tuple[str, str, str], dict[str, dict[float, float]]] = {}
    for row in (row for table in tables for row in table.rows if _time(row) > 0):
        for name, value in row.case.point:
            if isinstance(value, int | float) and not isinstance(value, bool):
                others = describe_point(tuple(pair for pair in row.case.point if pair[0] != name))
                line = lines.setdefault((row.case.workload, name, others), {})
                line.setdefault(row.case.implementation, {})[value] = _time(row)
    for (workload, axis, others), found in lines.items():
        points = sorted({value for line in found.values() for value in line})
        if len(points) >= _SCALES_FROM:
            values = {name: [line.get(point, math.nan) for point in points] for name, line in found.items()}
            title = f"{workload} over {axis}{f' [{others}]' if others else ''}, trends on one log scale"
            yield title, draw_scaling(axis, points, values, _UNIT, width)


def _print_failures(out: Console, run: Run) -> None:
    """Print each failure once, with the launches in which it came about, and the end of the first one's log."""
    alike: dict[tuple[str, str, str], list[int]] = {}
    logs: dict[tuple[str, str, str], str] = {}
    for trial in run.trials:
        if trial.failed:
            what = trial.case.id, trial.status, trial.message
            alike.setdefault(what, []).append(trial.launch + 1)
            logs.setdefault(what, trial.log)
    for (case, status, message), launches in alike.items():
        where = f"launch{'' if len(launches) == 1 else 'es'} {', '.join(map(str, launches))}"
        out.print(Text(f"\n{case} {status} in {where}: {message}".removesuffix(": "), style="red"), soft_wrap=True)
        for line in logs[case, status, message].strip().splitlines()[-_LOG_LINES:]:
            out.print(Text(f"  | {line}"), soft_wrap=True)
