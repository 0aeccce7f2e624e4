"""RAPL from a folder laid out as the kernel lays it out, which a test rewrites as the kernel would."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.probes.energy import measure_step_energy
from harness.probes.meter import MeterError, Reason
from harness.probes.rapl import Rapl
from harness.probes.window import Gauge

RANGE_UJ = 262_143_328_850


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not under the test's own temporary folder, which other users may not enter."""
    path = Path("/dev/shm") / f"powercap-{os.getpid()}"
    zone(path, "intel-rapl:0", "package-0", 1_000_000)
    zone(path, "intel-rapl:0:0", "core", 500_000)
    zone(path, "intel-rapl:0:1", "dram", 200_000)
    zone(path, "intel-rapl:1", "psys", 9_000_000)
    zone(path, "intel-rapl-mmio:0", "package-0", 1_000_000)
    yield path
    subprocess.run(["rm", "-r", str(path)], check=True)


def zone(folder: Path, name: str, label: str, energy_uj: int) -> Path:
    path = folder / name
    path.mkdir(parents=True)
    (path / "name").write_text(f"{label}\n")
    (path / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
    put(path, energy_uj)
    return path


def put(zone: Path, energy_uj: int) -> None:
    """Write a counter in one go, so that no reader finds it half written."""
    (zone / "new").write_text(f"{energy_uj}\n")
    (zone / "new").rename(zone / "energy_uj")


class Clock:
    time_s = 0.0

    def __call__(self) -> float:
        return self.time_s


def test_packages_and_memory_are_added_up_and_nothing_is_counted_twice(folder: Path) -> None:
    clock = Clock()
    meter = Rapl(folder, clock)
    assert meter.read() == 0
    clock.time_s += 1
    put(folder / "intel-rapl:0", 3_500_000)
    put(folder / "intel-rapl:0:1", 700_000)
    put(folder / "intel-rapl:0:0", 2_500_000)
    put(folder / "intel-rapl:1", 19_000_000)
    put(folder / "intel-rapl-mmio:0", 3_500_000)
    assert meter.read() == pytest.approx(2.5 + 0.5)
    assert meter.scope == "package+dram"
    assert meter.name == "RAPL dram, package-0"


def test_a_counter_that_wraps_round_goes_on(folder: Path) -> None:
    clock = Clock()
    put(folder / "intel-rapl:0", RANGE_UJ - 4_000_000)
    meter = Rapl(folder, clock)
    for now_uj in (RANGE_UJ - 1_000_000, 6_000_000, 8_000_000):
        clock.time_s += 0.1
        put(folder / "intel-rapl:0", now_uj)
        read = meter.read()
    assert read == pytest.approx(12.0)


def test_a_counter_that_may_have_wrapped_twice_is_not_believed(folder: Path) -> None:
    clock = Clock()
    meter = Rapl(folder, clock)
    clock.time_s += 100
    meter.read()
    clock.time_s += 140
    with pytest.raises(MeterError, match="was not read for 140 s, and may wrap round in 131 s") as caught:
        meter.read()
    assert caught.value.reason is Reason.NOT_POLLED


def test_a_counter_that_goes_backwards_is_not_taken_for_one_that_wrapped(folder: Path) -> None:
    clock = Clock()
    meter = Rapl(folder, clock)
    clock.time_s += 0.1
    put(folder / "intel-rapl:0", 900_000)
    with pytest.raises(MeterError, match="package-0 went backwards, to 900000 uJ") as caught:
        meter.read()
    assert caught.value.reason is Reason.WENT_BACKWARDS


def test_counters_for_root_alone_say_how_to_allow_them(folder: Path) -> None:
    (folder / "intel-rapl:0" / "energy_uj").chmod(0o400)
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom harness.probes.meter import MeterError\n"
        "from harness.probes.rapl import Rapl\n"
        "os.getuid() == 0 and os.setuid(65534)\n"
        "try:\n    Rapl(Path(sys.argv[1]))\nexcept MeterError as error:\n    print(error.reason, error)\n"
    )
    if os.getuid() != 0:
        (folder / "intel-rapl:0" / "energy_uj").chmod(0)
    said = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True).stdout
    allow = f"sudo chmod a+r {folder}/intel-rapl:*/*energy*_uj"
    assert said.startswith(f"no_permission RAPL is readable by root alone; allow it with: {allow}")


@pytest.mark.parametrize("text", ["", "unknown\n"])
def test_a_counter_that_is_no_number_is_a_reason(folder: Path, text: str) -> None:
    (folder / "intel-rapl:0" / "energy_uj").write_text(text)
    with pytest.raises(MeterError, match="and not a number") as caught:
        Rapl(folder)
    assert caught.value.reason is Reason.FAILED


def test_a_machine_without_counters_is_a_reason(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(MeterError, match="no RAPL counters in") as caught:
            Rapl(folder)
        assert caught.value.reason is Reason.NO_DEVICE


def test_a_counter_that_is_taken_away_in_a_window_is_a_reason(folder: Path) -> None:
    clock = Clock()
    meter = Rapl(folder, clock)
    (folder / "intel-rapl:0" / "energy_uj").unlink()
    with pytest.raises(MeterError, match="No such file") as caught:
        meter.read()
    assert caught.value.reason is Reason.FAILED


def test_a_step_is_read_in_real_time_from_a_counter_of_100_watts(folder: Path) -> None:
    closed = threading.Event()
    started = time.perf_counter()

    def count() -> None:
        while not closed.wait(1e-3):
            put(folder / "intel-rapl:0", 1_000_000 + int(100e6 * (time.perf_counter() - started)))

    def work(seconds: float) -> int:
        time.sleep(5e-3)
        return 1

    counter = threading.Thread(target=count)
    counter.start()
    try:
        energy = measure_step_energy(Gauge(Rapl(folder)), work, wanted=0.1)
    finally:
        closed.set()
        counter.join()
    assert energy.gross.reason is None, energy.gross.provenance
    assert abs(energy.power.value - 100) <= energy.power.uncertainty
    assert energy.scope == "package+dram"
