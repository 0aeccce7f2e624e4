from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.launch.code_version import CodeVersion
from harness.launch.controller.fork_server import ForkServer
from harness.probes.machine import TurnMonitor
from harness.probes.wallclock import WallClock, measure_resolution
from tests.support.launcher import calibration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    with ForkServer(1, tmp_path_factory.mktemp("launch"), CodeVersion()) as server:
        yield server


def memory(server: ForkServer, folder: Path, implementation: str, size: int) -> dict[str, float]:
    """Return what the memory pass reads in a worker of its own."""
    worker = server.fork(calibration(implementation, folder, bytes=size), 0, 60)
    worker.ask("prepare")
    samples = worker.ask("memory")
    worker.finish()
    assert worker.message == ""
    return {sample.metric: sample.value for sample in samples}


@pytest.mark.parametrize("size", [8 << 20, 64 << 20])
def test_a_known_allocation_is_read_as_what_it_is(server: ForkServer, tmp_path: Path, size: int) -> None:
    read = memory(server, tmp_path, "allocate", size)
    assert read["peak_allocated"] == size
    assert read["peak_memory"] == pytest.approx(size, rel=0.02, abs=4096 + 0.02 * size)


def test_a_step_that_allocates_nothing_is_read_as_nothing(server: ForkServer, tmp_path: Path) -> None:
    read = memory(server, tmp_path, "noop", 64 << 20)
    assert read["peak_allocated"] == 0
    assert read["peak_memory"] < 256 << 10


def test_the_clock_runs_a_block_of_steps_and_gives_the_time_of_one() -> None:
    calls = []
    values, flags = WallClock().sample(lambda: calls.append(time.perf_counter()), block=50)
    assert len(calls) == 50
    assert 0 < values["time"] * 50 < 1.0 + (calls[-1] - calls[0]) * 50
    assert values["time"] * 50 >= calls[-1] - calls[0]
    assert set(values) == {"time", "cpu_time"}
    assert flags == ()


def test_a_sample_must_be_a_thousand_ticks_of_the_clock() -> None:
    assert 0 < measure_resolution() < 1e-3
    assert WallClock().least_s >= 1e-9 * 1000


def test_the_machine_is_read_as_shares_of_its_time() -> None:
    machine = TurnMonitor()
    machine.start()
    end = time.monotonic() + 0.3
    while time.monotonic() < end:
        pass
    read = machine.stop()
    assert read["preemptions"] >= 0
    assert 0 <= read["steal_share"] <= 1
    assert 0 <= read["others_share"] <= 1


def test_processes_that_are_measured_together_are_no_others() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as spinning:
        together, alone = TurnMonitor([spinning.pid]), TurnMonitor()
        for machine in (together, alone):
            machine.start()
        time.sleep(1.0)
        shares = [machine.stop()["others_share"] for machine in (together, alone)]
        spinning.kill()
    assert shares[1] - shares[0] > 0.1 / os.cpu_count()
