"""Ratios.

Each mark is the ratio of a case's time to that of the baseline of its group, or of the new side to the base; left of 1
is faster. The bar is its 95 % interval, from the spread between launches. The band is the margin: a bar that lies
within it is equivalent, one that crosses its edge is inconclusive. The axis is logarithmic, so that half and double are
equally far.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.core.comparison import EQUIVALENT, IMPROVEMENTS, REGRESSIONS
from harness.core.metric import METRICS, PRIMARY, format_number
from harness.report.figure import (
    BAND,
    COLOURS,
    INK,
    MUTED,
    Figure,
    choose_looks,
    draw_error_bars,
    escape_text,
    make_ratio_axis,
    name_series,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.compare import RunComparison
    from harness.report.study import Study

_ROW_PX = 24


def draw_panel(study: Study) -> Iterator[Figure]:
    """Yield the ratios to the base of each comparison, then those to the baselines."""
    for number, report in enumerate(study.reports):
        rows = _compared(study, report)
        if len(rows):
            yield _forest(f"compared-{number}", rows, "time, new / base", _verdict_traces(rows))
    rows = study.cases[study.cases["ratio"].notna()]
    if len(rows):
        rows = rows.assign(median=rows["ratio"], ci_low=rows["ratio_low"], ci_high=rows["ratio_high"])
        rows = rows.assign(row=[_row_name(study, row) for row in rows.itertuples()])
        yield _forest("baseline", rows, f"time / {_baselines(rows)}", _implementation_traces(study, rows))


def _baselines(rows: pd.DataFrame) -> str:
    names = list(dict.fromkeys(rows["baseline"]))
    return escape_text(names[0]) if len(names) == 1 else "baseline"


def _row_name(study: Study, row: Any) -> str:
    return escape_text(f"{name_series(study, row)} · {row.question}")


def _compared(study: Study, report: RunComparison) -> pd.DataFrame:
    """Return the comparisons of times, with the number of the new side's case."""
    new = study.cases[study.cases["run"] == report.new.id]
    numbers = {(row.group, row.implementation): row.Index for row in new.itertuples()}
    found = [
        (numbers[one.case.group, one.case.implementation], one.verdict, one.ratio, one.ci_low, one.ci_high)
        for one in report.rows
        if one.metric == PRIMARY and one.ratio > 0
    ]
    rows = pd.DataFrame(found, columns=["case", "verdict", "median", "ci_low", "ci_high"]).set_index("case")
    rows = rows.join(new[["implementation", "question"]])
    return rows.assign(row=(rows["implementation"] + " · " + rows["question"]).map(escape_text))


def _verdict_traces(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a trace for each verdict, so that the legend can hide what nobody asked for."""
    return [_trace(verdict, mine, _verdict_marker(verdict)) for verdict, mine in rows.groupby("verdict", sort=False)]


def _verdict_marker(verdict: str) -> dict[str, Any]:
    if verdict in REGRESSIONS:
        return {"color": COLOURS[6], "symbol": "triangle-right", "size": 10}
    if verdict in IMPROVEMENTS:
        return {"color": COLOURS[2], "symbol": "triangle-left", "size": 10}
    return {"color": MUTED, "symbol": "circle" if verdict == EQUIVALENT else "circle-open", "size": 8}


def _implementation_traces(study: Study, rows: pd.DataFrame) -> list[dict[str, Any]]:
    found = choose_looks(study)
    return [
        _trace(name_series(study, mine.iloc[0]), mine, found[key].marker)
        for key, mine in rows.groupby(["implementation", "machine"], sort=False)
    ]


def _trace(name: str, rows: pd.DataFrame, marker: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape_text(name),
        "x": rows["median"].tolist(),
        "y": rows["row"].tolist(),
        "error_x": draw_error_bars(rows),
        "marker": marker,
        "hovertext": [_hover(row) for row in rows.itertuples()],
        "hoverinfo": "text",
        "meta": {"cases": rows.index.tolist()},
    }


def _hover(row: Any) -> str:
    known = math.isfinite(row.ci_high)
    interval = f" ({format_number(row.ci_low)} to {format_number(row.ci_high)})" if known else ""
    return f"{row.row}: {format_number(row.median)}{interval}"


def _forest(name: str, rows: pd.DataFrame, title: str, traces: Sequence[dict[str, Any]]) -> Figure:
    margin = METRICS[PRIMARY].margin
    line = {"type": "line", "xref": "x", "yref": "paper", "x0": 1, "x1": 1, "y0": 0, "y1": 1}
    band = {**line, "type": "rect", "x0": 1 / (1 + margin), "x1": 1 + margin, "fillcolor": BAND, "layer": "below"}
    layout = {
        "xaxis": make_ratio_axis(title, rows),
        "yaxis": {"categoryorder": "array", "categoryarray": rows["row"].tolist()[::-1], "automargin": True},
        "shapes": [band | {"line": {"width": 0}}, line | {"line": {"color": INK, "width": 1}}],
    }
    return Figure(name, list(traces), layout, row_px=_ROW_PX)
