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

import math
from collections import defaultdict
from html import escape
from typing import TYPE_CHECKING, Any

from harness.report.figure import MUTED, Figure, error_bars, log_axis, looks
from harness.report.html import Html
from harness.report.machines import Measures, best, lines, missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd

    from harness.report.machines import Line, Value
    from harness.report.study import Study

_LANE_PX = 14
# Of a decade, beyond the ticks at both ends of an axis.
_EDGE = 0.03


def draw(study: Study) -> Iterator[Figure | Html]:
    """Yield a figure for each point, and the tables of all of them, where there are several machines."""
    if study.cases["machine"].nunique() < 2:
        return
    found, measures = lines(study), Measures(study)
    timed = study.values("time")
    for question, rows in timed.groupby("question", sort=False):
        mine = [line for line in found if line.question == question]
        yield _figure(study, str(question), rows, mine, measures)
    yield Html("hardware.html", {**_tables(study, found, measures), **_prices(study, found, measures)})


def _figure(study: Study, question: str, rows: pd.DataFrame, mine: Sequence[Line], measures: Measures) -> Figure:
    traces = [_trace(study, str(name), those) for name, those in rows.groupby("implementation", sort=False)]
    gaps = _gaps(study, mine, measures, rows["median"].min())
    layout = {
        "xaxis": _time_axis([*rows["median"], *rows["ci_low"], *rows["ci_high"]]),
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


def _time_axis(values: Sequence[float]) -> dict[str, Any]:
    """Return an axis from one round number to another: with a single tick, nothing could be read off it."""
    axis = log_axis("time of a step", values, "s")
    known = [value for value in values if value > 0 and math.isfinite(value)]
    low = max(tick for tick in axis["tickvals"] if tick <= min(known))
    high = min(tick for tick in axis["tickvals"] if tick >= max(known))
    return {**axis, "range": [math.log10(low) - _EDGE, math.log10(high) + _EDGE]}


def _name(label: str) -> str:
    """Write the label of a machine as a figure takes it, in two lines where it names the run."""
    return escape(label).replace(", ", "<br>")


def _trace(study: Study, name: str, rows: pd.DataFrame) -> dict[str, Any]:
    look = looks(study)[name, rows.iloc[0]["machine"]]
    return {
        "type": "scatter",
        "mode": "markers",
        "orientation": "h",
        "offsetgroup": escape(name),
        "name": escape(name),
        "x": rows["median"].tolist(),
        "y": [_name(study.labels[run]) for run in rows["run"]],
        "error_x": error_bars(rows),
        "marker": look.marker,
        "hovertemplate": "%{y}: %{x:.3~s}s<extra>%{fullData.name}</extra>",
        "meta": {"cases": rows.index.tolist()},
    }


def _gaps(study: Study, mine: Sequence[Line], measures: Measures, at: float) -> list[dict[str, Any]]:
    """Return a trace of words for the implementations that some machines have no time of."""
    without, why = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    cases = defaultdict[str, list[int]](list)
    for line in mine:
        for run, reason in missing(line, measures):
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
        "text": [f"not measured: {escape(', '.join(names))}" for names in without.values()],
        "textposition": "middle right",
        "textfont": {"color": MUTED, "size": 11},
        "hovertext": ["<br>".join(map(escape, reasons)) for reasons in why.values()],
        "hoverinfo": "text",
        "meta": {"cases": [cases[run] or None for run in without]},
    }
    return [trace]


def _tables(study: Study, found: Sequence[Line], measures: Measures) -> dict[str, Any]:
    """Return a table for each measure that some case has, and which no case has."""
    kinds = {
        "Time of a step": (measures.time, min),
        "Throughput": (measures.throughput, max),
        "Share of the measured roof": (measures.roof_share, max),
        "Per watt": (measures.per_watt, max),
    }
    tables, absent = {}, []
    for heading, (measure, pick) in kinds.items():
        rows = [[measure(case) for case in line.cases.values()] for line in found]
        if any(value.known for row in rows for value in row):
            tables[heading] = [_row(line, row, best(row, pick)) for line, row in zip(found, rows, strict=True)]
        else:
            absent.append(heading.lower())
    return {"labels": list(study.labels.values()), "tables": tables, "absent": absent}


def _row(line: Line, values: Sequence[Value], winner: Value | None) -> dict[str, Any]:
    return {
        "question": line.question,
        "implementation": line.implementation,
        "cells": [
            {"case": case, "text": value.text, "reason": value.reason, "best": value is winner}
            for case, value in zip(line.cases.values(), values, strict=True)
        ],
    }


def _prices(study: Study, found: Sequence[Line], measures: Measures) -> dict[str, Any]:
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
