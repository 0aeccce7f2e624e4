"""How it was before.

A figure for each case and place, the most changed first: the median time of a step in each run that is kept, with its
95 % interval, in the order of commits where git knows them all and by time where not; open marks are runs of files that
were not committed. A solid line stands where the level changed, and the shade about it spans the runs between which
the change surely lies; dashes are the levels, or the line of a drift. A dotted line is where cases met an environment
that was new to them: no commit is to blame for what follows. The command of a change for the worse looks for the commit
that made it.
"""

from __future__ import annotations

import itertools
import math
import statistics
from typing import TYPE_CHECKING, Any

from harness.analysis.change_points import DRIFT
from harness.analysis.history import BY_COMMIT, NO_VERDICT
from harness.core.comparison import IMPROVEMENTS, REGRESSIONS
from harness.core.metric import format_value
from harness.formats.changes import format_commit
from harness.report.figure import BAND, COLOURS, INK, MUTED, Figure, choose_looks, escape_text
from harness.report.html import Html
from harness.report.series import describe_environments, describe_outcome, describe_series, name_histories

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.history import History, Point, Series, Where
    from harness.core.case import Case
    from harness.report.figure import Look
    from harness.report.study import Study

_FEWEST, _HEIGHT_PX = 2, 280
# Figures of one page; the rest is named below them.
_MOST = 30
# Commits that are written below a figure; with more, they run into each other.
_TICKS = 6


def draw_panel(study: Study) -> Iterator[Figure | Html]:
    """Yield a figure for each series, then what changed in words, and what has no figure."""
    history = study.history
    if not history:
        return
    known = set(zip(study.cases["group"], study.cases["implementation"], strict=True))
    series = [one for one in history.series if len(one.points) >= _FEWEST and _key(one.where.case) in known]
    if not series:
        return
    series.sort(key=_extent, reverse=True)
    names, found = name_histories(study, series), _looks(study, series)
    for number, one in enumerate(series[:_MOST]):
        yield _figure(number, one, names[one.where], found[one.where], _met(history, one), _case(study, one.where))
    yield Html(
        "history.html",
        {
            "changed": [said for one in series if (said := describe_outcome(one, names[one.where]))],
            "met": list(describe_environments(history, series)),
            "rest": [names[one.where] for one in series[_MOST:]],
        },
    )


def _key(case: Case) -> tuple[str, str]:
    return case.group, case.implementation


def _extent(series: Series) -> float:
    """Return by how much a series changed at most, as a logarithm."""
    sizes = [step.change.size for step in series.changes] + [series.drift]
    return max(abs(math.log1p(size)) for size in sizes)


def _looks(study: Study, series: Sequence[Series]) -> dict[Where, Look]:
    """Return the look of each series: that of its implementation, on whatever machine the study has it."""
    by_name = {implementation: look for (implementation, _), look in reversed(choose_looks(study).items())}
    return {one.where: by_name[one.where.case.implementation] for one in series}


def _case(study: Study, where: Where) -> int:
    """Return the number of the case of a series in the study: on the same machine, where there is one."""
    like = study.cases[study.cases["group"] == where.case.group]
    like = like[like["implementation"] == where.case.implementation]
    same = {run.id for run in study.runs if run.environment.fingerprint == where.environment}
    here = like[like["run"].isin(same)]
    return int((here if len(here) else like).index[0])


def _met(history: History, series: Series) -> list[float]:
    """Return where a series begins or ends with a change of environment, as positions between its points."""
    found = list[float]()
    runs = [point.run for point in series.points]
    for change in history.environment_changes:
        if series.where.case.id not in change.cases:
            continue
        if change.after == series.where.environment and change.run in runs:
            found.append(runs.index(change.run) - 0.5)
        earlier = all(point.started_at < change.started_at for point in series.points)
        if change.before == series.where.environment and earlier:
            found.append(len(runs) - 0.5)
    return found


def _figure(number: int, series: Series, name: str, look: Look, met: Sequence[float], case: int) -> Figure:
    points, unit = series.points, series.unit
    step = max(1, math.ceil(len(points) / _TICKS))
    layout = {
        "height": _HEIGHT_PX,
        "title": {
            "text": escape_text(name),
            "subtitle": {"text": describe_series(series), "font": {"size": 12}},
            "font": {"size": 13},
            "x": 0,
            "xanchor": "left",
            "y": 0.97,
            "yanchor": "top",
        },
        "margin": {"t": 72},
        "showlegend": False,
        "xaxis": {
            "title": {"text": "commit" if series.ordered_by == BY_COMMIT else "run, by time"},
            "tickvals": list(range(0, len(points), step)),
            "ticktext": [escape_text(format_commit(point)) for point in points[::step]],
            "range": [-0.7, len(points) - 0.3],
            "zeroline": False,
        },
        "yaxis": {"title": {"text": f"{series.where.metric} of a step"}, "tickformat": ".4~s", "ticksuffix": unit},
        "shapes": [shape for shapes in (_change_shapes(series), map(_environment_shape, met)) for shape in shapes],
        "annotations": list(_notes(series)),
    }
    data = [_trace(series, look, unit, case), *_levels(series, case)]
    return Figure(f"history-{number + 1}", data, layout, toggles={"from zero": {"yaxis": {"rangemode": "tozero"}}})


def _trace(series: Series, look: Look, unit: str, case: int) -> dict[str, Any]:
    points = series.points
    above = [_or_zero(point.ci_high - point.value) for point in points]
    below = [_or_zero(point.value - point.ci_low) for point in points]
    bars = {"type": "data", "symmetric": False, "array": above, "arrayminus": below}
    symbols = [f"{look.symbol}-open" if point.dirty else look.symbol for point in points]
    return {
        "type": "scatter",
        "mode": "lines+markers",
        "name": series.where.case.implementation,
        "x": list(range(len(points))),
        "y": [point.value for point in points],
        "error_y": bars | {"thickness": 1, "width": 2},
        "line": {"color": look.colour, "width": 1},
        "marker": {"color": look.colour, "symbol": symbols, "size": 7},
        "hovertext": [_hover(point, unit) for point in points],
        "hoverinfo": "text",
        "meta": {"case": case},
    }


def _or_zero(length: float) -> float:
    return length if math.isfinite(length) else 0.0


def _hover(point: Point, unit: str) -> str:
    known = math.isfinite(point.ci_low) and math.isfinite(point.ci_high)
    interval = f" ({format_value(point.ci_low, unit)} to {format_value(point.ci_high, unit)})" if known else ""
    what = f"{escape_text(point.run)}<br>{escape_text(format_commit(point))}, {point.started_at[:16].replace('T', ' ')}"
    return f"{what}<br>{format_value(point.value, unit)}{interval}"


def _levels(series: Series, case: int) -> Iterator[dict[str, Any]]:
    """Yield the level of each stretch between changes, or the line of a drift; nothing without a verdict."""
    if series.label == NO_VERDICT:
        return
    values = [point.value for point in series.points]
    edges = [0, *(step.change.index for step in series.changes), len(values)]
    for start, end in itertools.pairwise(edges):
        middle = statistics.median(values[start:end])
        rise = math.sqrt(1 + series.drift) if series.label == DRIFT else 1.0
        yield {
            "type": "scatter",
            "mode": "lines",
            "x": [start - 0.4, end - 0.6],
            "y": [middle / rise, middle * rise],
            "line": {"color": INK, "dash": "dash", "width": 1.5},
            "hoverinfo": "skip",
            "meta": {"case": case},
        }


def _change_shapes(series: Series) -> Iterator[dict[str, Any]]:
    """Yield, for each change, a line between two runs, and a shade from the last sure one before to the first after."""
    for step in series.changes:
        change = step.change
        whole = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1}
        shade = {"type": "rect", "x0": change.before, "x1": change.after, "fillcolor": BAND, "line": {"width": 0}}
        line = {"color": _colour(step.direction), "width": 2}
        yield {**whole, **shade, "layer": "below"}
        yield {**whole, "type": "line", "x0": change.index - 0.5, "x1": change.index - 0.5, "line": line}


def _environment_shape(at: float) -> dict[str, Any]:
    line = {"color": MUTED, "dash": "dot", "width": 2}
    return {"type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line}


def _colour(direction: str) -> str:
    return COLOURS[6] if direction in REGRESSIONS else COLOURS[2] if direction in IMPROVEMENTS else INK


def _notes(series: Series) -> Iterator[dict[str, Any]]:
    """Yield the size of each change at its line, on the side where there is more room, or that of a drift."""
    above = {"xref": "x", "yref": "paper", "y": 1, "yanchor": "bottom", "showarrow": False, "font": {"size": 12}}
    last = len(series.points) - 1
    for step in series.changes:
        change = step.change
        side = "left" if change.index <= last / 3 else "right" if change.index > 2 * last / 3 else "center"
        text = f"{step.direction} {change.size:+.1%} ({change.ci_low:+.1%} to {change.ci_high:+.1%})"
        yield {**above, "x": change.index - 0.5, "xanchor": side, "text": text}
    if series.label == DRIFT:
        yield {**above, "x": last, "xanchor": "right", "text": f"drifts {series.direction} {series.drift:+.1%}"}
