"""JSON of pytest-benchmark, in both directions.

A workload is the module of a test, an implementation its function (with its class), and a point its parameters.
"""

from __future__ import annotations

import re
import statistics
from collections import Counter
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from harness.core.case import Case, describe_point
from harness.core.metric import PRIMARY
from harness.core.text import clean_text
from harness.core.trial import OK, Sample
from harness.formats.exported import Exported
from harness.formats.foreign import (
    UNKNOWN,
    ForeignFile,
    make_slug,
    make_timed_trial,
    read_count,
    read_fields,
    read_line,
    read_moment,
    read_objects,
    read_scalar,
    read_seconds,
)
from harness.formats.json_document import dump_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.rows import GroupTable, ResultRow
    from harness.core.axis import Scalar
    from harness.core.environment import Environment
    from harness.core.run import Run
    from harness.core.trial import Trial

TOOL = "pytest-benchmark"
# The version whose form is written here.
_VERSION = "5.3.1"
# A round of pytest-benchmark is one value; so many turns of consecutive values show drift as well as more would.
_TURNS = 20
# How pytest-benchmark writes an object that JSON has no form for: with its address, another in every process.
_OPAQUE = "UNSERIALIZABLE["
_BARE = "some benchmarks come without raw values, and have one value a file; --benchmark-save-data keeps them"


def write_pytest_benchmark(run: Run, tables: Sequence[GroupTable]) -> Exported:
    """Return the cases that have times, as ``pytest-benchmark compare`` reads them."""
    rows = [(row, _times(run, row)) for table in tables for row in table.rows]
    document = {
        "machine_info": _machine_info(run.environment),
        "commit_info": {
            "id": run.environment.git_commit or "unversioned",
            "time": None,
            "author_time": None,
            "dirty": run.environment.git_dirty,
            "project": "benchwright",
            "branch": "(unknown)",
        },
        "benchmarks": [_benchmark(row, times) for row, times in rows if times],
        "datetime": run.description.started_at,
        "version": _VERSION,
    }
    return Exported(dump_json(document), tuple(row for row, times in rows if not times))


def read_pytest_benchmark(data: dict[str, Any]) -> ForeignFile:
    """Read a document.

    Raises:
        ValueError: it does not have the form of one.
    """
    benchmarks = read_objects(data["benchmarks"], "benchmarks")
    trials = [_trial(_case(benchmark), read_fields(benchmark.get("stats"))) for benchmark in benchmarks]
    bare = not all(read_fields(benchmark.get("stats")).get("data") for benchmark in benchmarks)
    twice = [name for name, times in Counter(trial.case.id for trial in trials).items() if times > 1]
    if twice:
        raise ValueError(f"two benchmarks are {twice[0]}")
    return ForeignFile(
        TOOL, _environment(data), tuple(trials), read_moment(data.get("datetime")), note=_BARE if bare else ""
    )


def _times(run: Run, row: ResultRow) -> list[float]:
    if row.status != OK:
        return []
    trials = [trial for trial in run.trials if trial.case == row.case]
    return [sample.value for trial in trials for sample in trial.samples if sample.metric == PRIMARY]


def _benchmark(row: ResultRow, times: list[float]) -> dict[str, Any]:
    case = row.case
    param = describe_point(case.point) if case.point else None
    name = case.implementation if param is None else f"{case.implementation}[{param}]"
    return {
        "group": case.group,
        "name": name,
        "fullname": f"{case.workload}::{name}",
        "params": case.params or None,
        "param": param,
        "extra_info": {"case": case.id, "flags": list(row.flags)},
        "options": {},
        "stats": _stats(times),
    }


def _stats(times: list[float]) -> dict[str, Any]:
    """Return the statistics under the names that pytest-benchmark gives them; quartiles are interpolated."""
    ordered, mean = sorted(times), statistics.fmean(times)
    spread = statistics.stdev(times) if len(times) > 1 else 0.0
    q1, median, q3 = statistics.quantiles(times, n=4, method="inclusive") if len(times) > 1 else times * 3
    near = [value for value in ordered if q1 - 1.5 * (q3 - q1) <= value <= q3 + 1.5 * (q3 - q1)]
    beyond, far = sum(abs(value - mean) > spread for value in times), len(times) - len(near)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(times),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": far,
        "stddev_outliers": beyond,
        "outliers": f"{beyond};{far}",
        "ld15iqr": near[0],
        "hd15iqr": near[-1],
        "ops": 1 / mean,
        "total": sum(times),
        "data": times,
        "iterations": 1,
    }


def _machine_info(machine: Environment) -> dict[str, Any]:
    return {
        "node": machine.host,
        "release": machine.kernel,
        "python_version": machine.python,
        "cpu": {"brand_raw": machine.cpu_model, "count": machine.cpus_online},
        "gpus": [gpu.name for gpu in machine.gpus],
        "packages": machine.packages,
    }


def _environment(data: dict[str, Any]) -> Environment:
    machine, commit = read_fields(data.get("machine_info")), read_fields(data.get("commit_info"))
    cpu, revision = read_fields(machine.get("cpu")), read_line(commit.get("id"))
    packages = {read_line(name): read_line(version) for name, version in read_fields(machine.get("packages")).items()}
    return replace(
        UNKNOWN,
        host=read_line(machine.get("node")),
        kernel=read_line(machine.get("release")),
        cpu_model=read_line(cpu.get("brand_raw")) or read_line(machine.get("processor")),
        cpus_online=read_count(cpu.get("count")),
        cpus_usable=read_count(cpu.get("count")),
        python=read_line(machine.get("python_version")),
        packages={"torch": "", **packages, TOOL: read_line(data.get("version"))},
        git_commit=revision if re.fullmatch("[0-9a-f]{7,64}", revision) else "",
        git_dirty=commit.get("dirty") is True,
    )


def _case(benchmark: dict[str, Any]) -> Case:
    name = read_line(benchmark.get("fullname")) or read_line(benchmark.get("name"))
    if not name:
        raise ValueError("a benchmark has no name")
    param = read_line(benchmark.get("param"))
    bare = name.removesuffix(f"[{param}]")
    module, _, function = bare.partition("::") if "::" in bare else ("", "", bare)
    return Case(
        make_slug(PurePosixPath(module).stem) or "pytest", clean_text(function) or name, _point(benchmark, param)
    )


def _point(benchmark: dict[str, Any], param: str) -> tuple[tuple[str, Scalar], ...]:
    params = read_fields(benchmark.get("params"))
    if any(_OPAQUE in str(value) for value in params.values()) or (param and not params):
        return (("param", param),)
    return tuple((clean_text(name), read_scalar(value)) for name, value in params.items())


def _trial(case: Case, stats: dict[str, Any]) -> Trial:
    """Return the trial of a case: its raw values where they were kept, else their median or mean as the only one."""
    data = stats.get("data") or [stats.get("median", stats.get("mean"))]
    if not isinstance(data, list):
        raise ValueError(f"the values of {case.id} are no list")
    return make_timed_trial(case, _in_turns([read_seconds(value, f"a value of {case.id}") for value in data]))


def _in_turns(values: list[float]) -> list[Sample]:
    """Return values as samples, consecutive ones in one turn."""
    turns = min(_TURNS, len(values))
    bounds = [turn * len(values) // turns for turn in range(turns + 1)]
    return [
        Sample(PRIMARY, value, turn, index)
        for turn in range(turns)
        for index, value in enumerate(values[bounds[turn] : bounds[turn + 1]])
    ]
