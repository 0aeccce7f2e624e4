"""Raw samples as figures show them: by question, in the order in which they were taken, no more than a screen shows."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.metric import PRIMARY
from harness.report.figure import MUTED, choose_looks, escape_text, name_series

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd

    from harness.report.figure import Look, Trace
    from harness.report.study import Study

    Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
    Integers = np.ndarray[tuple[int], np.dtype[np.int64]]

# Times of a case in one figure: of more, each of these stretches leaves its least, its middle and its largest.
_MOST, _STRETCHES = 600, 200
# The width of a turn on an axis of rounds.
_TURN = 0.8
# Seconds on an axis that is read to any depth of zoom.
SECONDS = {"tickformat": "~s", "ticksuffix": "s"}


@dataclass(frozen=True)
class Taken:
    """The times of one case, in the order in which they were taken.

    Attributes:
        name: of its series, as HTML.
        seconds: of each time that is drawn.
        launches: of the same times.
        at: their places on the axis of rounds.
        flags: their warnings.
        everything: all times, whether drawn or not, from the least to the largest.
        medians: of all times of each launch.
    """

    case: int
    machine: str
    name: str
    look: Look
    seconds: Floats
    launches: Integers
    at: Floats
    flags: np.ndarray[Any, Any]
    everything: Floats
    medians: dict[int, float]


@dataclass(frozen=True)
class FigureRow:
    """One of several drawings that stand above each other.

    Attributes:
        label: what it shows, as HTML.
        y: its vertical axis.
        x: its horizontal axis, where it does not share that of all rows.
    """

    label: str
    height_px: int
    traces: list[Trace]
    y: dict[str, Any] = field(default_factory=dict)
    x: dict[str, Any] | None = None


def order_samples(study: Study, metrics: Iterable[str]) -> pd.DataFrame:
    """Return the samples of some metrics that were taken in rounds, with their ``question``, and ``at`` and ``start``.

    A round is as wide as 1, and the samples of a turn stand about the middle of its round. Rounds are counted over the
    launches of a question; ``start`` is where the launch of a sample begins.
    """
    found = study.samples[study.samples["metric"].isin(list(metrics)) & (study.samples["round"] >= 0)]
    found = found.astype({"launch": int, "round": int, "index": int, "value": float})  # of an empty table too
    found = found[np.isfinite(found["value"])]
    found = found.assign(question=found["case"].map(study.cases["question"]))
    rounds = found.groupby(["question", "launch"])["round"].max() + 1
    starts = (rounds.groupby(level=0).cumsum() - rounds).rename("start")
    found = found.join(starts, on=["question", "launch"])
    turn = found.groupby(["case", "metric", "launch", "round"])["index"].transform("max") + 1
    within = ((found["index"] + 0.5) / turn - 0.5) * _TURN
    return found.assign(at=found["start"] + found["round"] + within)


def select_times(study: Study, samples: pd.DataFrame) -> dict[str, list[Taken]]:
    """Return the times among samples that are in order, by question, each case by itself."""
    times = samples[samples["metric"] == PRIMARY].sort_values(["case", "at"])
    columns = {name: times[name].to_numpy() for name in ("value", "launch", "at", "flags")}
    medians = defaultdict[int, dict[int, float]](dict)
    for (case, launch), median in times.groupby(["case", "launch"])["value"].median().items():
        medians[case][launch] = median
    numbers, starts = np.unique(times["case"].to_numpy(), return_index=True)
    rows = {row.Index: row for row in study.cases.itertuples()}
    known, found = choose_looks(study), dict[str, list[Taken]]()
    for number, (start, end) in zip(numbers, itertools.pairwise([*starts, len(times)]), strict=True):
        row = rows[number]
        seconds, launches, at, flags = (column[start:end] for column in columns.values())
        drawn, look = thin_values(seconds), known[row.implementation, row.machine]
        points = (seconds[drawn], launches[drawn], at[drawn], flags[drawn])
        name, everything = escape_text(name_series(study, row)), np.sort(seconds)
        one = Taken(int(number), row.machine, name, look, *points, everything, medians[number])
        found.setdefault(row.question, []).append(one)
    return found


def thin_values(values: Floats) -> Integers:
    """Return the positions of the values that a figure draws: the extremes of every stretch are among them."""
    if len(values) <= _MOST:
        return np.arange(len(values))
    kept = [
        stretch[np.argsort(values[stretch])[[0, len(stretch) // 2, -1]]]
        for stretch in np.array_split(np.arange(len(values)), _STRETCHES)
    ]
    return np.unique(np.concatenate(kept))


def stack_rows(rows: Sequence[FigureRow], gap_px: int, around_px: int) -> tuple[list[Trace], dict[str, Any]]:
    """Return the traces and the layout of rows from the top down, each with its label above it."""
    total_px = sum(row.height_px + gap_px for row in rows)
    layout: dict[str, Any] = {"height": total_px + around_px, "annotations": []}
    traces: list[Trace] = []
    used_px = 0
    for number, row in enumerate(rows):
        top = 1 - (used_px + gap_px) / total_px
        used_px += row.height_px + gap_px
        layout[name_axis(number, "yaxis")] = {"domain": [1 - used_px / total_px, top], **row.y}
        layout["annotations"].append(_label(row.label, top))
        own = {"yaxis": name_axis(number, "y")}
        if row.x is not None:
            own["xaxis"] = name_axis(number, "x")
            layout[name_axis(number, "xaxis")] = {"anchor": own["yaxis"], **row.x}
        traces += [trace | own for trace in row.traces]
    return traces, layout


def name_axis(number: int, name: str) -> str:
    """Return what plotly.js calls the axis of that number, from 0."""
    return name if number == 0 else f"{name}{number + 1}"


def _label(text: str, top: float) -> dict[str, Any]:
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": top, "yref": "paper", "yanchor": "bottom"}
    return {"text": text, "showarrow": False, "font": {"size": 11, "color": MUTED}, **place}
