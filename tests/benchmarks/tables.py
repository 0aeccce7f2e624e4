"""Prints what it takes to read many runs together, and to write some at once.

``python -m tests.benchmarks.tables``, or with the names of parts. The runs are made up: twelve cases, and times with
2 % of normal noise, which hardly compress. Beside the seconds stands the CPU time, which a busy machine changes less.
Nothing is asserted.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from harness.analysis.measurements import summarize_trials
from harness.core.case import Case, Group, PlannedCase
from harness.core.measurement import Measurement
from harness.core.run_description import COMPLETE, RunDescription
from harness.core.trial import Sample, Trial
from harness.store import schema
from harness.store.dataframes import read_tables
from harness.store.read import read_run
from harness.store.rows import build_sample_table
from harness.store.write import create_run, write_tables
from tests.support.command import BENCH
from tests.support.runs import ON_CPU, here, recorded_run

RUNS, ROWS = 100, 100_000
WRITERS, LAUNCHES, ROUNDS = 8, 5, 25_000
CASES = [Case("work", f"way_{way}", (("n", n),)) for n in (1024, 2048, 4096) for way in "abcd"]
GROUP = Group("work", "way_a", tuple(map(PlannedCase, CASES)))


def reading() -> None:
    """1e7 times over 100 runs: every command as a whole process, the second and third of three."""
    with tempfile.TemporaryDirectory(prefix="benchwright-") as place:
        results, merged = Path(place, "results"), Path(place, "merged")
        for number in range(RUNS):
            a_large_run(results, number)
        _print_size(results)
        _print("bench --version", BENCH, "--version")
        for name, words in {
            "bench results show": ("show", results),
            "bench results show --case way_a": ("show", results, "--case", "way_a"),
            "bench results list": ("list", results),
        }.items():
            _print(name, BENCH, "results", *map(str, words))
        _print("bench results merge", BENCH, "results", "merge", str(results), "-o", str(merged), times=1)
        _print_size(merged)
        _print("bench results show, merged", BENCH, "results", "show", str(merged))
        subprocess.run((sys.executable, "-m", "tests.benchmarks.tables", "frames", str(results)), check=True)


def frames(results: Path) -> None:
    """Print what read_tables takes in a process of its own."""
    before, started, cpu = _peak(), time.perf_counter(), time.process_time()
    found = read_tables(str(results))
    elapsed, cpu = time.perf_counter() - started, time.process_time() - cpu
    size = found.samples.memory_usage(deep=True).sum() / 1e6
    print(f"{'read_tables':34} {elapsed:.2f} s (CPU {cpu:.2f})")
    print(f"{'':34} {len(found.samples):,} samples in a frame of {size:.0f} MB")
    print(f"{'':34} peak of the process {_peak():.0f} MB, {before:.0f} MB before")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def writing() -> None:
    """1e6 samples by 8 processes at once, each a run of its own, through the store's own writer."""
    with tempfile.TemporaryDirectory(prefix="benchwright-") as place:
        started = time.perf_counter()
        context = multiprocessing.get_context("spawn")
        writers = [context.Process(target=a_written_run, args=(Path(place), number)) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        elapsed, found = time.perf_counter() - started, read_tables(place).samples
        sums = found.groupby("run_id", observed=True)["value"].sum().round().tolist()
        print(f"{len(found):,} of {WRITERS * LAUNCHES * ROUNDS:,} rows found, {elapsed:.1f} s with the start of Python")
        print(f"sums as written: {sorted(sums) == [_sum(number) for number in range(WRITERS)]}")
        _print_size(Path(place))


def a_large_run(results: Path, number: int) -> None:
    """Write a complete run; its samples are made as columns, which is faster than one by one."""
    source, each = np.random.default_rng(number), ROWS // len(CASES)
    values = 1e-3 * np.exp(source.normal(0, 0.02, (len(CASES), each)))
    trials = [Trial(case, launch) for case in CASES for launch in range(5)]
    rows = [
        Measurement(case, "time", each, 5, float(np.median(v)), 0.0, 0.0) for case, v in zip(CASES, values, strict=True)
    ]
    name = f"20260101T{number:06}Z-work-{number:06x}"
    run = recorded_run(results, [GROUP], trials, run_id=name, measurements=rows)
    tables = [_repeated(run.id, case, own) for case, own in zip(CASES, values, strict=True)]
    pq.write_table(pa.concat_tables(tables), run.folder / schema.SAMPLES, compression="zstd")


def a_written_run(results: Path, number: int) -> None:
    """Write a run as `bench run` does, each sample an object."""
    case = CASES[number]
    trials = [
        Trial(case, launch, samples=[Sample("time", float(number + 1), round) for round in range(ROUNDS)])
        for launch in range(LAUNCHES)
    ]
    folder = create_run(results, RunDescription(f"run-{number}", (GROUP,), ON_CPU, here()))
    write_tables(replace(read_run(folder), trials=tuple(trials)), summarize_trials([], trials), COMPLETE)


def _sum(number: int) -> float:
    return float(LAUNCHES * ROUNDS * (number + 1))


def _repeated(run_id: str, case: Case, values: np.ndarray) -> pa.Table:
    """Return a sample row as often as there are values."""
    table = build_sample_table(run_id, [Trial(case, 0, samples=[Sample("time", 0.0)])]).take(
        pa.array(np.zeros(len(values), int))
    )
    number = np.arange(len(values), dtype=np.int32)
    for name, column in {"launch": number % 5, "round": number // 5, "value": values}.items():
        table = table.set_column(table.column_names.index(name), table.schema.field(name), pa.array(column))
    return table


def _print(name: str, *command: str, times: int = 3) -> None:
    found = []
    for _ in range(times):
        started, cpu = time.perf_counter(), _cpu_of_children()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        found.append(f"{time.perf_counter() - started:.2f} s (CPU {_cpu_of_children() - cpu:.2f})")
    print(f"{name:34} " + ", ".join(found[1:] or found))


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _print_size(folder: Path) -> None:
    files = list(folder.rglob("*.parquet"))
    print(f"{'on disk':34} {sum(file.stat().st_size for file in files) / 1e6:.0f} MB in {len(files)} files of Parquet")


if __name__ == "__main__":
    if sys.argv[1:2] == ["frames"]:
        frames(Path(sys.argv[2]))
    else:
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        parts: dict[str, Callable[[], None]] = {"reading": reading, "writing": writing}
        for chosen in sys.argv[1:] or parts:
            print(f"\n{parts[chosen].__doc__}")
            parts[chosen]()
