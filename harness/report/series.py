"""Series of a history in words: what they are called on a page, and what became of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.analysis.change_points import DRIFT
from harness.analysis.history import NO_VERDICT
from harness.formats.changes import describe_change, format_commit
from harness.formats.command import can_be_bisected, write_bisect_command
from harness.report.study import name_machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.history import History, Series, Where
    from harness.report.study import Study


def name_histories(study: Study, series: Sequence[Series]) -> dict[Where, str]:
    """Return how to call each series: by its case, its machine, and what else tells it from its like."""
    questions = dict(zip(study.cases["group"], study.cases["question"], strict=True))
    machines = {run.environment.fingerprint: name_machine(run.environment, run.policy) for run in study.runs}
    names = {}
    for where in (one.where for one in series):
        machine = f"{machines.get(where.environment, '')} @{where.environment[:6]}".strip()
        marks = {"environment": machine, "device": where.device}
        marks |= {"threads": f"{where.threads} threads", "mode": where.mode}
        same = [other.where for other in series if other.where.case == where.case]
        telling = [mark for field, mark in marks.items() if len({getattr(other, field) for other in same}) > 1]
        names[where] = " · ".join([where.case.implementation, questions[where.case.group], *telling])
    return names


def describe_series(series: Series) -> str:
    """Say what a series is, or what it lacks to be called anything."""
    if series.needed:
        return f"{NO_VERDICT}, needs {series.needed} more {'runs' if series.needed > 1 else 'run'}"
    return f"{series.label}; {series.note}" if series.note else series.label


def describe_environments(history: History, series: Sequence[Series]) -> Iterator[str]:
    """Yield the changes of environment at which some of the series begin or end, in words."""
    for change in history.environment_changes:
        ends = (change.before, change.after)
        if any(one.where.environment in ends and one.where.case.id in change.cases for one in series):
            yield f"{change.run}: {'; '.join(change.differences)}"


def describe_outcome(series: Series, name: str) -> dict[str, Any]:
    """Return what is to be said of a series that did not stay as it was; nothing of one that did."""
    case = series.where.case
    said = [
        {"text": describe_change(step), "command": write_bisect_command(case, step) if can_be_bisected(step) else ""}
        for step in series.changes
    ]
    if series.label == DRIFT:
        ends = f"{format_commit(series.points[0])}..{format_commit(series.points[-1])}"
        said.append({"text": f"drifts {series.direction}, {series.drift:+.1%} over {ends}", "command": ""})
    return {"name": name, "said": said} if said else {}
