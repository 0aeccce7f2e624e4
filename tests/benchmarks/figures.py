"""Prints what the harness costs and how well it reads what is known; `make benchmark` runs all of it.

Name parts to run those alone: ``python tests/benchmarks/figures.py startup loop spin allocate twins``. Nothing is
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
from functools import partial
from pathlib import Path
from typing import Any

from harness.core.metric import format_value
from harness.launch.remote import ForkServer, Worker
from harness.launch.side import Side

BENCH = str(Path(sys.executable).with_name("bench"))
SPEC = {
    "workload": "calibration",
    "implementation": "noop",
    "params": {"duration": 1e-3, "bytes": 1 << 20, "percent": 0.02},
    "device": "cpu",
    "mode": "host",
    "threads": 1,
    "seed": 0,
}
RUNS = 40


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


def twins() -> None:
    """How often the same code is called different, and how often 2 % more work is found; the tools take turns."""
    tools: dict[str, Callable[[], dict[str, bool]]] = {
        "benchwright, 2 launches": partial(_ours, "2"),
        "benchwright, 5 launches": partial(_ours, "5"),
        "torch.utils.benchmark": _torch_timer,
        "pyperf": _pyperf,
    }
    called = {name: dict.fromkeys(("twin_b", "slower"), 0) for name in tools}
    spent = dict.fromkeys(tools, 0.0)
    for done in range(1, RUNS + 1):
        for name, measure in tools.items():
            started = time.perf_counter()
            for case, different in measure().items():
                called[name][case] += different
            spent[name] += time.perf_counter() - started
        print(f"\r{done}/{RUNS}", end="", file=sys.stderr, flush=True)
    print(f"\nover {RUNS} runs, against twin_a:")
    for name, counts in called.items():
        print(
            f"{name:24} twins called different {counts['twin_b']:2}, 2 % more work found {counts['slower']:2}, "
            f"{spent[name] / RUNS:5.1f} s a run"
        )


def _ours(launches: str) -> dict[str, bool]:
    """Measure with this harness; different means that the 95 % interval of the ratio misses 1."""
    rows = _rows("--impl", "twin_a,twin_b,slower", "--launches", launches, "--budget", "2s", "--threads", "1")
    ratios = {name: rows[name]["ratio"] for name in ("twin_b", "slower")}
    return {
        "twin_b": not ratios["twin_b"]["ci_low"] <= 1 <= ratios["twin_b"]["ci_high"],
        "slower": ratios["slower"]["ci_low"] > 1,
    }


# One process of its own a side, as a user of either tool would run it: first one, then the other.
_TIMER = """
import sys, json, torch
from torch.utils.benchmark import Timer
torch.set_num_threads(1)
x = torch.randn(4096); out = torch.empty_like(x); n = int(sys.argv[1])
setup = "step = lambda: [torch.mul(x, 1.0, out=out) for _ in range(n)]"
timer = Timer("step()", setup, globals={"torch": torch, "x": x, "out": out, "n": n})
print(json.dumps(timer.blocked_autorange(min_run_time=1.0).times))
"""
_PYPERF = """
import pyperf, torch
torch.set_num_threads(1)
x = torch.randn(4096); out = torch.empty_like(x)
def add_arguments(command, args): command.extend(["--work", str(args.work)])
runner = pyperf.Runner(values=5, processes=2, add_cmdline_args=add_arguments)
runner.argparser.add_argument("--work", type=int)
n = runner.parse_args().work
def step():
    for _ in range(n): torch.mul(x, 1.0, out=out)
runner.bench_func("step", step)
"""
_WORK = {"twin_a": 1000, "twin_b": 1000, "slower": 1020}


def _torch_timer() -> dict[str, bool]:
    """``blocked_autorange``, a process a side; different means that the 95 % intervals of the medians are disjoint."""
    intervals = {}
    for case, work in _WORK.items():
        times = sorted(json.loads(_run(sys.executable, "-c", _TIMER, str(work))))
        reach = 1.96 * len(times) ** 0.5
        low, high = int((len(times) - reach) / 2), int((len(times) + reach) / 2)
        intervals[case] = times[max(low, 0)], times[min(high, len(times) - 1)]
    return {
        "twin_b": _disjoint(intervals["twin_a"], intervals["twin_b"]),
        "slower": intervals["slower"][0] > intervals["twin_a"][1],
    }


def _pyperf() -> dict[str, bool]:
    """Two processes of five values a side; different is what ``pyperf compare_to`` calls significant."""
    import pyperf

    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "bench.py"
        script.write_text(_PYPERF)
        sides = {}
        for case, work in _WORK.items():
            out = Path(folder) / f"{case}.json"
            _run(sys.executable, str(script), "--quiet", "--work", str(work), "-o", str(out))
            sides[case] = pyperf.BenchmarkSuite.load(str(out)).get_benchmarks()[0]
    differs = {case: _significant(sides["twin_a"], side) for case, side in sides.items() if case != "twin_a"}
    differs["slower"] = differs["slower"] and sides["slower"].mean() > sides["twin_a"].mean()
    return differs


def _significant(one: Any, other: Any) -> bool:
    """Apply pyperf's own test: Student's t on the pooled values at 95 %."""
    from pyperf._utils import is_significant

    return bool(is_significant(one.get_values(), other.get_values())[0])


def _disjoint(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[1] < other[0] or other[1] < one[0]


class _launch:  # noqa: N801
    """A fork server and its folder, for a while."""

    def __enter__(self) -> tuple[ForkServer, Path]:
        self._folder = tempfile.TemporaryDirectory()
        self._server = ForkServer(1, Path(self._folder.name), Side())
        return self._server, Path(self._folder.name)

    def __exit__(self, *error: object) -> None:
        self._server.close()
        self._folder.cleanup()


def _worker(server: ForkServer, folder: Path, name: str) -> Worker:
    return server.fork({**SPEC, "implementation": name, "reference": str(folder / "reference")}, 0, 60)


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
    parts = {part.__name__: part for part in (startup, loop, spin, allocate, twins)}
    for chosen in sys.argv[1:] or parts:
        print(f"\n{parts[chosen].__doc__}")
        parts[chosen]()
