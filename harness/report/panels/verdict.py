"""What came out.

The ratio is of the median times, new over base, or of each implementation over the baseline of its group; below 1 is
faster. "Told apart" means that the 95 % interval of the ratio, which comes from the spread between launches, does not
contain 1. The smallest detectable difference is what data like these would have shown in four of five tries.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from harness.core.metric import format_number
from harness.core.trial import OK, SKIPPED
from harness.formats.cells import format_interval
from harness.formats.wording import summarize_verdicts
from harness.report.html import Html

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from harness.report.study import Study


def draw_panel(study: Study) -> Iterator[Html]:
    """Yield the sentences."""
    yield Html("verdict.html", {"sentences": list(_sentences(study))})


def write_headline(study: Study) -> str:
    """Say in one sentence what came out: of two sides, the verdicts; else which implementation is the fastest."""
    if study.reports:
        return f"{_capital(summarize_verdicts(study.reports[-1]))}."
    timed = study.values("time")
    if timed.empty:
        failed = study.cases[~study.cases["status"].isin([OK, SKIPPED])]
        return f"No case has a time: {len(failed)} failed, {len(study.cases) - len(failed)} were skipped."
    return _fastest(study, timed)


def _fastest(study: Study, timed: pd.DataFrame) -> str:
    """Say which implementation is the fastest, at how many of the questions, and by how much."""
    best = timed.loc[timed.groupby(["run", "group"])["median"].idxmin()]
    winners = best["implementation"].value_counts()
    name, questions = winners.index[0], len(best)
    mine = best[best["implementation"] == name]
    share = f"all {questions}" if winners.iloc[0] == questions else f"{winners.iloc[0]} of {questions}"
    where = f" at {share} points" if questions > 1 else ""
    machine = f" on {timed['machine'].iloc[0]}" if not study.several else ""
    said = f"{name} is the fastest of {timed['implementation'].nunique()} implementations{where}{machine}"
    ratios = mine["ratio"].dropna()
    if ratios.empty:
        return f"{said}: nothing is faster than the baseline."
    if len(ratios) == 1:
        one = mine.loc[ratios.index[0]]
        return f"{said}: {format_number(one['ratio'])} of the time of {one['baseline']}{_reach(one)}."
    mean = statistics.geometric_mean(ratios)
    return (
        f"{said}: {format_number(mean)} of the baseline's time there (geometric mean), "
        f"{format_number(ratios.min())} at best and {format_number(ratios.max())} at worst."
    )


def _reach(one: pd.Series[float]) -> str:
    return f" {format_interval(one['ratio_high'] / one['ratio'])}" if one["ratio_high"] > 0 else ""


def _sentences(study: Study) -> Iterator[str]:
    """Yield what else a reader should know before the figures."""
    for report in study.reports:
        yield f"Base: {study.labels[report.base.id]}. New: {study.labels[report.new.id]}."
        found = [row.detectable for row in report.rows if row.detectable > 0]
        if found:
            yield f"The smallest detectable change is {statistics.median(found):.1%} in the median case."
    yield from _against_baseline(study.cases[study.cases["ratio"].notna()])
    counts = study.cases["status"].value_counts()
    others = [f"{count} {status}" for status, count in counts.items() if status != OK]
    if others:
        yield f"Without a time: {', '.join(others)}."
    yield from study.left_out


def _against_baseline(compared: pd.DataFrame) -> Iterator[str]:
    """Yield what the ratios to the baseline come to."""
    if compared.empty:
        return
    ratios = compared["ratio"]
    mean = format_number(statistics.geometric_mean(ratios))
    ends = (("at best", compared.loc[ratios.idxmin()]), ("at worst", compared.loc[ratios.idxmax()]))
    extremes = ", ".join(f"{word} {format_number(one['ratio'])} ({_name(one)})" for word, one in ends)
    yield f"Against the baseline: {len(compared)} cases, geometric mean {mean}; {extremes}."
    same = compared[(compared["ratio_low"] <= 1) & (compared["ratio_high"] >= 1)]
    if len(same):
        yield f"{len(same)} of them cannot be told apart from the baseline by these data."
    if compared["detectable"].notna().any():
        yield f"The smallest detectable difference is {compared['detectable'].median():.1%} in the median case."


def _name(case: pd.Series[str]) -> str:
    return f"{case['implementation']}, {case['question']}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
