"""JSON of google/benchmark.

A workload is the executable, an implementation the family of a benchmark, and a point its arguments. A repetition is a
round. The parts of a name are those of ``BenchmarkName``: the family, arguments (``8`` or ``n:8``), settings
(``min_time:0.5``, ``threads:4``) and what kind of time was taken (``real_time``), which stays with the family.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING, Any

from harness.core.case import Case
from harness.core.metric import PRIMARY
from harness.core.text import clean_text
from harness.core.trial import ERROR, SKIPPED, Sample, Trial
from harness.formats.foreign import (
    UNKNOWN,
    ForeignFile,
    make_slug,
    make_timed_trial,
    read_count,
    read_fields,
    read_line,
    read_moment,
    read_number,
    read_objects,
    read_seconds,
)

if TYPE_CHECKING:
    from harness.core.axis import Scalar
    from harness.core.environment import Environment

TOOL = "google-benchmark"
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
_NAMED = re.compile(r"(\w+):([^:]*)")

Rows = list[dict[str, Any]]


def read_google_benchmark(data: dict[str, Any]) -> ForeignFile:
    """Read a document.

    Raises:
        ValueError: it does not have the form of one.
    """
    context, rows = read_fields(data.get("context")), read_objects(data["benchmarks"], "benchmarks")
    workload = make_slug(PureWindowsPath(read_line(context.get("executable"))).stem) or "google_benchmark"
    trials = [_trial(workload, name, mine) for name, mine in _by_name(rows).items()]
    if not trials:
        raise ValueError("benchmarks has aggregates alone, and no mean among them")
    known = {trial.case.id: trial for trial in trials}
    if len(known) < len(trials):
        raise ValueError(f"two benchmarks are {next(t.case.id for t in trials if known[t.case.id] is not t)}")
    threads = {read_count(row.get("threads")) or 1 for row in rows}
    return ForeignFile(
        TOOL,
        _environment(context),
        tuple(trials),
        read_moment(context.get("date")),
        threads=threads.pop() if len(threads) == 1 else 1,
    )


def _by_name(rows: Rows) -> dict[str, Rows]:
    """Return the repetitions of each benchmark; its mean where the repetitions were not written."""
    repetitions, means = defaultdict[str, Rows](list), defaultdict[str, Rows](list)
    for row in rows:
        name = read_line(row.get("run_name")) or read_line(row.get("name"))
        if not name:
            raise ValueError("a benchmark has no name")
        if row.get("run_type", "iteration") == "iteration":
            repetitions[name].append(row)
        elif row.get("aggregate_name") == "mean":
            means[name].append(row)
    names = dict.fromkeys(read_line(row.get("run_name")) or read_line(row.get("name")) for row in rows)
    return {name: found for name in names if (found := repetitions.get(name) or means.get(name))}


def _trial(workload: str, name: str, rows: Rows) -> Trial:
    family, point = _parsed(name)
    case = Case(workload, family, point)
    for row in rows:
        if row.get("error_occurred"):
            return Trial(case, 0, ERROR, read_line(row.get("error_message")))
        if row.get("skipped"):
            return Trial(case, 0, SKIPPED, read_line(row.get("skip_message")))
    numbers = [row.get("repetition_index", turn) for turn, row in enumerate(rows)]
    if len(set(map(read_count, numbers))) < len(rows):
        raise ValueError(f"a repetition of {case.id} is there twice")
    return make_timed_trial(case, [sample for turn, row in enumerate(rows) for sample in _samples(row, turn, case.id)])


def _samples(row: dict[str, Any], turn: int, case: str) -> list[Sample]:
    unit = _UNITS.get(read_line(row.get("time_unit", "ns")))
    if unit is None:
        raise ValueError(f"time_unit of {case} is none of {', '.join(_UNITS)}")
    return [
        Sample(metric, read_seconds(row.get(key), f"{key} of {case}", unit), turn)
        for metric, key in ((PRIMARY, "real_time"), ("cpu_time", "cpu_time"))
        if metric == PRIMARY or key in row
    ]


def _parsed(name: str) -> tuple[str, tuple[tuple[str, Scalar], ...]]:
    """Return the family of a benchmark, and its arguments in order."""
    first, *parts = name.split("/")
    family: list[str] = [first]
    point: dict[str, Scalar] = {}
    for part in parts:
        named = _NAMED.fullmatch(part)
        if named and named[1] not in point:
            point[named[1]] = _number(named[2])
        elif named or re.fullmatch(r"-?\d+", part):
            point[f"arg{len(point)}"] = _number(part)
        else:
            family.append(part)
    return clean_text("/".join(family)), tuple(point.items())


def _number(written: str) -> Scalar:
    if re.fullmatch(r"-?\d{1,18}", written):
        return int(written)
    return float(written) if re.fullmatch(r"-?\d{1,18}\.\d{1,18}", written) else written


def _environment(context: dict[str, Any]) -> Environment:
    load = context.get("load_avg")
    last_minute = read_number(load[0]) if isinstance(load, list) and load else 0.0
    return replace(
        UNKNOWN,
        host=read_line(context.get("host_name")),
        cpus_online=read_count(context.get("num_cpus")),
        cpus_usable=read_count(context.get("num_cpus")),
        load_1min=last_minute if math.isfinite(last_minute) else 0.0,
        packages={"torch": "", TOOL: read_line(context.get("library_version"))},
    )
