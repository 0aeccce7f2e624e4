"""How the run went.

Each implementation's samples in the order in which they were taken: a round holds one turn of each of them, and dotted
lines part the launches. What lifts all of them in the same rounds is the machine. Below, on the same axis, the state of
the machine after each turn, or over it, where it was recorded; shares and counts that were zero throughout are left
out. A grey disc lies behind a sample with a warning, which the legend names. Of a case with over 600 samples, the
least, the middle and the largest of each of 200 stretches are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.core.metric import PRIMARY, find_metric
from harness.report.figure import COLOURS, MUTED, Figure, escape_text
from harness.report.samples import SECONDS, FigureRow, name_axis, order_samples, select_times, stack_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pandas as pd

    from harness.report.figure import Trace
    from harness.report.samples import Floats, Taken
    from harness.report.study import Study

_ROW_PX, _ALONE_PX, _STATE_PX, _REASON_PX, _GAP_PX, _AROUND_PX = 84, 200, 54, 17, 24, 70
_THROTTLE = "throttle_reasons"
# Of NVML's reasons for lower clocks (nvml.h), all but that the GPU had nothing to do.
_REASONS = {
    0x2: "clocks set by a user",
    0x4: "power limit",
    0x8: "hardware slowdown",
    0x10: "sync boost",
    0x20: "heat, by software",
    0x40: "heat, by hardware",
    0x80: "power brake",
    0x100: "clocks of a display",
}


@dataclass(frozen=True)
class _State:
    """How a state of the machine is drawn.

    Attributes:
        own: whether it is that of the case that had the turn, and is drawn in its colour.
        idle: whether zero throughout says nothing.
    """

    axis: dict[str, str]
    own: bool = False
    idle: bool = False


_SHARE = {"tickformat": "~%"}
_STATES = {
    "sm_clock": _State({"tickformat": "~s", "ticksuffix": "Hz"}, own=True),
    "power": _State({"tickformat": "~s", "ticksuffix": "W"}, own=True),
    "temperature": _State({"ticksuffix": " °C"}),
    "others_share": _State(_SHARE, idle=True),
    "steal_share": _State(_SHARE, idle=True),
    "preemptions": _State({"tickformat": "~s"}, idle=True),
    "swapped_pages": _State({"tickformat": "~s"}, idle=True),
}


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield a figure for each question."""
    samples = order_samples(study, [PRIMARY, *_STATES, _THROTTLE])
    samples = samples.assign(machine=samples["case"].map(study.cases["machine"]))
    others = samples[samples["metric"] != PRIMARY]
    states = dict(iter(others.groupby(["question", "machine", "metric"], sort=False)))
    launches = samples.groupby(["question", "launch"])[["start", "round"]].max()
    for question, cases in select_times(study, samples).items():
        rows = list(_times(cases))
        zero = {name_axis(number, "yaxis"): {"rangemode": "tozero"} for number in range(len(rows))}
        for machine in dict.fromkeys(one.machine for one in cases):
            mine = {metric: states.get((question, machine, metric)) for metric in (*_STATES, _THROTTLE)}
            where = f", {escape_text(machine)}" if study.several else ""
            rows += [*_machine(cases, mine, where), *_throttled(mine[_THROTTLE], where)]
        traces, layout = stack_rows(rows, _GAP_PX, _AROUND_PX)
        layout |= _launches(launches.loc[question])
        yield Figure("timeline", traces, layout, group=question, toggles={"axis from zero": zero})


def _times(cases: Sequence[Taken]) -> Iterator[FigureRow]:
    """Yield a row for each case, so that a change of one per cent in a fast one is seen beside a slow one."""
    height_px = _ALONE_PX if len(cases) == 1 else _ROW_PX
    known = set[str]()
    for one in cases:
        flags = sorted(set(one.flags) - {""})
        halos = [_halo(one, each, shown=each not in known) for each in flags]
        known |= set(flags)
        yield FigureRow(one.name, height_px, [*halos, _samples(one)], {"nticks": 4, **SECONDS})


def _samples(one: Taken) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": one.name,
        "showlegend": False,
        "x": one.at,
        "y": one.seconds,
        "marker": one.look.marker | {"size": 4},
        "hovertemplate": "%{y:.4s}s, round %{x:.0f}",
        "meta": {"case": one.case},
    }


def _halo(one: Taken, flags: str, *, shown: bool) -> Trace:
    """Return discs behind the samples that have some warnings."""
    mine = one.flags == flags
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape_text(flags.replace("_", " ").replace(",", ", ")),
        "legendgroup": flags,
        "showlegend": shown,
        "x": one.at[mine],
        "y": one.seconds[mine],
        "marker": {"color": MUTED, "size": 9, "opacity": 0.15},
        "hoverinfo": "skip",
        "meta": {"case": one.case},
    }


def _machine(cases: Sequence[Taken], states: Mapping[str, pd.DataFrame | None], where: str) -> Iterator[FigureRow]:
    """Yield a row for each state that was recorded."""
    for metric, state in _STATES.items():
        rows, label = states[metric], find_metric(metric).label
        if rows is None or (state.idle and not rows["value"].any()):
            continue
        if state.own:
            turns = dict(iter(rows.groupby("case", sort=False)))
            traces = [_state(label, state, turns[one.case], one) for one in cases if one.case in turns]
        else:
            traces = [_state(label, state, rows)]
        yield FigureRow(label + where, _STATE_PX, traces, {"nticks": 4, **state.axis})


def _state(label: str, state: _State, rows: pd.DataFrame, case: Taken | None = None) -> Trace:
    value = f"%{{y:{state.axis.get('tickformat', '')}}}{state.axis.get('ticksuffix', '')}"
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": label,
        "showlegend": False,
        "x": rows["at"].to_numpy(),
        "y": rows["value"].to_numpy(),
        "marker": {"color": MUTED, "size": 4},
        "hovertemplate": f"{value}, round %{{x:.0f}}",
    }
    if case is None:
        return trace
    own = {"name": case.name, "meta": {"case": case.case}}
    return trace | own | {"marker": case.look.marker | {"size": 4}}


def _throttled(rows: pd.DataFrame | None, where: str) -> Iterator[FigureRow]:
    """Yield a row of marks, a line for each reason for which the clocks were held down."""
    if rows is None:
        return
    bits, at = rows["value"].to_numpy().astype(int), rows["at"].to_numpy()
    found = {name: at[bits & bit != 0] for bit, name in _REASONS.items() if (bits & bit).any()}
    if not found:
        return
    traces = [_mark(place, name, x) for place, (name, x) in enumerate(found.items())]
    ticks = {"tickvals": list(range(len(found))), "ticktext": list(found), "tickfont": {"size": 10}}
    axis = {**ticks, "range": [len(found) - 0.4, -0.6], "zeroline": False}
    label = f"clocks held down{where}"
    yield FigureRow(label, _REASON_PX * (len(found) + 1), traces, axis)


def _mark(place: int, name: str, x: Floats) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "showlegend": False,
        "x": x,
        "y": np.full(len(x), place),
        "marker": {"color": COLOURS[6], "symbol": "line-ns", "size": 9, "line": {"color": COLOURS[6], "width": 2}},
        "hovertemplate": "round %{x:.0f}",
    }


def _launches(ends: pd.DataFrame) -> dict[str, Any]:
    """Return the axis of rounds, on which launches are named and parted, from the start and last round of each."""
    line = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": MUTED, "width": 1, "dash": "dot"}}
    starts = [float(start) for start in ends["start"]]
    middles = [start + float(last) / 2 for start, last in zip(starts, ends["round"], strict=True)]
    axis = {"anchor": "free", "position": 0, "title": {"text": "launch"}, "showgrid": False, "zeroline": False}
    ticks = {"tickvals": middles, "ticktext": [str(launch) for launch in ends.index], "tickangle": 0}
    return {
        "xaxis": axis | ticks,
        "shapes": [line | {"x0": start - 0.5, "x1": start - 0.5} for start in starts[1:]],
    }
