"""Machine against machine.

The figure has a row for each machine and a mark for each implementation at the point that is chosen; the bar is the
95 % interval. In the tables a row is an implementation at a point and a column a machine, and the best of a row is
bold. The measured roof is the best that the same harness reached on that machine, so that shares say how well a machine
is used and not how large it is. Per watt is work over the gross energy of the device alone. "Not measured" says why,
and never means zero. Prices are yours: they stay in this page and in its address. The price of an hour is for the
machine as it is rented. The energy is that of the device times PUE, which is what the building takes for each joule of
it; what this energy costs is part of what a rent already pays for.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from harness.core.metric import find_metric
from harness.report.across_machines import Measures, explain_missing, find_best, match_lines
from harness.report.figure import MUTED, Figure, choose_looks, escape_text, make_log_axis
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.report.across_machines import MachineLine, Value
    from harness.report.figure import Look
    from harness.report.study import Study

    _Looks = dict[tuple[str, str], Look]

_LANE_PX = 14
# Of a decade, beyond the ticks at both ends of an axis.
_EDGE = 0.03


def draw_panel(study: Study) -> Iterator[Figure | Html]:
    """Yield a figure for each point, and the tables of all of them, where there are several machines."""
    if study.cases["machine"].nunique() < 2:
        return
    found, measures, drawn = match_lines(study), Measures(study), choose_looks(study)
    for question, mine in itertools.groupby(found, key=lambda line: line.question):
        if figure := _figure(study, drawn, question, list(mine), measures):
            yield figure
    yield Html("hardware.html", {**_tables(study, found, measures), **_prices(study, found, measures)})


def _figure(
    study: Study, drawn: _Looks, question: str, mine: Sequence[MachineLine], measures: Measures
) -> Figure | None:
    """Return the times of all machines at one point; None where there is none."""
    traces = [trace for line in mine if (trace := _trace(study, drawn, line, measures))]
    if not traces:
        return None
    gaps = _gaps(study, mine, measures, min(at for trace in traces for at in trace["x"]))
    layout = {
        "xaxis": _time_axis([end for line in mine for end in _ends(line, measures)]),
        "yaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": [_name(label) for label in study.labels.values()],
            "autorange": "reversed",
        },
        "scattermode": "group",
        "scattergap": 0.3,
    }
    lanes = len(traces) + bool(gaps)
    return Figure("hardware", [*traces, *gaps], layout, group=question, row_px=_LANE_PX * (lanes + 1))


def _ends(line: MachineLine, measures: Measures) -> Iterator[float]:
    for value in map(measures.time, line.cases.values()):
        if value.known:
            yield from value.reach or (value.number,)


def _time_axis(values: Sequence[float]) -> dict[str, Any]:
    """Return an axis from one round number to another: with a single tick, nothing could be read off it."""
    axis = make_log_axis("time of a step", values, "s")
    known = [value for value in values if value > 0 and math.isfinite(value)]
    low = max(tick for tick in axis["tickvals"] if tick <= min(known))
    high = min(tick for tick in axis["tickvals"] if tick >= max(known))
    return {**axis, "range": [math.log10(low) - _EDGE, math.log10(high) + _EDGE]}


def _name(label: str) -> str:
    """Write the label of a machine as a figure takes it, in two lines where it names the run."""
    return escape_text(label).replace(", ", "<br>")


def _trace(study: Study, drawn: _Looks, line: MachineLine, measures: Measures) -> dict[str, Any]:
    """Return the times of an implementation on all machines that have one; nothing where none has."""
    times = {run: measures.time(case) for run, case in line.cases.items()}
    known = {run: time for run, time in times.items() if time.known}
    if not known:
        return {}
    cases = [line.cases[run] for run in known]
    ends = [time.reach or (time.number, time.number) for time in known.values()]
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "offsetgroup": escape_text(line.implementation),
        "name": escape_text(line.implementation),
        "x": [time.number for time in known.values()],
        "y": [_name(study.labels[run]) for run in known],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - time.number for time, (_, high) in zip(known.values(), ends, strict=True)],
            "arrayminus": [time.number - low for time, (low, _) in zip(known.values(), ends, strict=True)],
            "thickness": 1.5,
            "width": 3,
        },
        "marker": drawn[line.implementation, str(study.cases.at[cases[0], "machine"])].marker,
        "hovertemplate": "%{y}: %{x:.3~s}s<extra>%{fullData.name}</extra>",
        "meta": {"cases": cases},
    }


def _gaps(study: Study, mine: Sequence[MachineLine], measures: Measures, at: float) -> list[dict[str, Any]]:
    """Return a trace of words for the implementations that some machines have no time of."""
    without, why = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    cases = defaultdict[str, list[int]](list)
    for line in mine:
        for run, reason in explain_missing(line, measures):
            without[run].append(line.implementation)
            why[run].append(f"{line.implementation}: {reason}")
            number = line.cases[run]
            cases[run] += [] if number is None else [number]
    if not without:
        return []
    trace = {
        "type": "scatter",
        "mode": "text",
        "orientation": "h",
        "offsetgroup": "not measured",
        "name": "not measured",
        "x": [at] * len(without),
        "y": [_name(study.labels[run]) for run in without],
        "text": [f"not measured: {escape_text(', '.join(names))}" for names in without.values()],
        "textposition": "middle right",
        "textfont": {"color": MUTED, "size": 11},
        "hovertext": ["<br>".join(map(escape_text, reasons)) for reasons in why.values()],
        "hoverinfo": "text",
        "meta": {"cases": [cases[run] or None for run in without]},
    }
    return [trace]


def _tables(study: Study, found: Sequence[MachineLine], measures: Measures) -> dict[str, Any]:
    """Return a table for each measure that some case has, and which no case has."""
    kinds = {
        "Time of a step": (measures.time, min),
        "Throughput": (measures.throughput, max),
        find_metric("roof_share").label: (measures.roof_share, max),
        "Per watt": (measures.per_watt, max),
    }
    tables, absent = {}, []
    for heading, (measure, pick) in kinds.items():
        rows = [[measure(case) for case in line.cases.values()] for line in found]
        if any(value.known for row in rows for value in row):
            tables[heading] = [_row(line, row, find_best(row, pick)) for line, row in zip(found, rows, strict=True)]
        else:
            absent.append(heading.lower())
    return {"labels": list(study.labels.values()), "tables": tables, "absent": absent}


def _row(line: MachineLine, values: Sequence[Value], winner: Value | None) -> dict[str, Any]:
    return {
        "question": line.question,
        "implementation": line.implementation,
        "cells": [
            {"case": case, "text": value.text, "reason": value.reason, "best": value is winner}
            for case, value in zip(line.cases.values(), values, strict=True)
        ],
    }


def _prices(study: Study, found: Sequence[MachineLine], measures: Measures) -> dict[str, Any]:
    """Return the machines that a price can be given for, and what the script multiplies prices with."""
    machines = dict(zip(study.cases["run"], study.cases["machine"], strict=True))
    rows = [
        {
            "number": case,
            "question": line.question,
            "implementation": line.implementation,
            "label": study.labels[run],
            "machine": machines[run],
            "time": _attribute(measures.time(case)),
            "work": f"{measures.work(case):.7g}",
            "energy": _attribute(measures.energy(case)),
            "reason": measures.time(case).reason,
            "energy_reason": measures.energy(case).reason,
        }
        for line in found
        for run, case in line.cases.items()
        if case is not None
    ]
    return {"machines": list(dict.fromkeys(machines.values())), "costs": rows}


def _attribute(value: Value) -> str:
    return f"{value.number:.7g}" if value.known else ""
