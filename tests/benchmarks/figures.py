"""Prints what the harness costs and how well it reads what is known; `make benchmark` runs this and `bench selftest`.

Name parts to run those alone: ``python -m tests.benchmarks.figures startup loop spin allocate``. Nothing is
asserted: machines are shared and noisy, and a figure is for a person to judge.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.core.metric import format_value
from harness.launch.code_version import CodeVersion
from harness.launch.controller.fork_server import ForkServer
from harness.launch.controller.worker_process import WorkerProcess
from tests.support.command import BENCH
from tests.support.launcher import calibration


def startup() -> None:
    """Commands that only need names: wall time of a whole process, and whether torch was imported."""
    for arguments in (("--help",), ("list",), ("run", "--help"), ("run", "attention", "--help")):
        times = [_seconds(_run, BENCH, *arguments) for _ in range(10)]
        code = (
            "import sys, contextlib\nfrom harness.cli.main import main\n"
            f"sys.argv = ['bench', *{arguments!r}]\nwith contextlib.suppress(SystemExit): main()\n"
            "print('torch' in sys.modules)"
        )
        imported = _run(sys.executable, "-c", code).splitlines()[-1]
        print(f"bench {' '.join(arguments):24} {_spread(times)}   imports torch: {imported}")


def loop() -> None:
    """One more worker once its launch is up, and the loop's cost for a step that does nothing."""
    with _launch() as (server, folder):
        times = []
        for _ in range(20):
            started = time.perf_counter()
            worker = _worker(server, folder, "noop")
            worker.ask("prepare")
            times.append(time.perf_counter() - started)
            worker.kill()
        print(f"one more worker: {_spread(times)}")
        values = _time(server, folder, "noop")
        print(f"noop, one step in a block: {_spread(values)} (loop, call and step together)")


def spin() -> None:
    """Steps of known duration: what is read, over what is true."""
    for length in ("1ms", "10ms", "100ms"):
        row = _rows("--impl", "spin", "--duration", length, "--budget", "3s", "--launches", "1")["spin"]
        read, truth = row["metrics"]["time"]["median"], row["params"]["duration"]
        print(f"spin {length:>6}: read {format_value(read, 's')}, off by {read / truth - 1:+.3%}")


def allocate() -> None:
    """Steps of known memory: what is read, over what is true."""
    sizes = ("1MiB", "4MiB", "16MiB", "64MiB", "256MiB", "1GiB")
    arguments = ("--impl", "allocate", "--bytes", ",".join(sizes), "--budget", "0.2s", "--launches", "1")
    for group in _run_json(*arguments)["groups"]:
        row = group["rows"][0]
        truth = row["params"]["bytes"]
        read = {name: row["metrics"][name]["median"] for name in ("peak_memory", "peak_allocated")}
        print(
            f"allocate {format_value(truth, 'B'):>8}: resident peak off by {read['peak_memory'] - truth:+9.0f} B "
            f"({read['peak_memory'] / truth - 1:+.3%}), allocator peak {read['peak_allocated'] / truth - 1:+.3%}"
        )


class _launch:  # noqa: N801
    """A fork server and its folder, for a while."""

    def __enter__(self) -> tuple[ForkServer, Path]:
        self._folder = tempfile.TemporaryDirectory()
        self._server = ForkServer(1, Path(self._folder.name), CodeVersion())
        return self._server, Path(self._folder.name)

    def __exit__(self, *error: object) -> None:
        self._server.close()
        self._folder.cleanup()


def _worker(server: ForkServer, folder: Path, name: str) -> WorkerProcess:
    return server.fork(calibration(name, folder), 0, 60)


def _time(server: ForkServer, folder: Path, name: str) -> list[float]:
    worker = _worker(server, folder, name)
    for order in ("prepare", "reference", "check"):
        worker.ask(order)
    worker.ask("warm_up", limit_s=1.0)
    samples = [sample for turn in range(10) for sample in worker.ask("turn", round=turn, slice_s=0.1)]
    worker.kill()
    return [sample.value for sample in samples if sample.metric == "time"]


def _rows(*arguments: str) -> dict[str, Any]:
    (group,) = _run_json(*arguments)["groups"]
    return {row["implementation"]: row for row in group["rows"]}


def _run_json(*arguments: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        output = _run(BENCH, "run", "calibration", "--json", "--results", folder, *arguments)
    return dict(json.loads(output))


def _run(*command: str) -> str:
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout


def _seconds(call: Callable[..., object], *arguments: str) -> float:
    started = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - started


def _spread(values: list[float]) -> str:
    """Write the median with its extremes."""
    low, middle, high = (format_value(f(values), "s") for f in (min, statistics.median, max))
    return f"{middle} (of {len(values)}: {low} to {high})"


if __name__ == "__main__":
    parts = {part.__name__: part for part in (startup, loop, spin, allocate)}
    for chosen in sys.argv[1:] or parts:
        print(f"\n{parts[chosen].__doc__}")
        parts[chosen]()
