"""Energy from end to end: a folder laid out like powercap's, whose counter a process moves, under real runs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.analysis.summary import summarise
from harness.core.case import Case, Group, PlannedCase
from harness.core.run import Context
from harness.core.trial import Rest, Sample, Trial
from harness.core.workload import Cost
from harness.launch.energy import no_energy

Bench = Callable[..., subprocess.CompletedProcess[str]]
WATTS = 40.0
# Moves a counter once a millisecond, as RAPL does; the file always holds a whole number.
METER = """
import os, sys, time
folder, watts = sys.argv[1], float(sys.argv[2])
counter = os.open(f"{folder}/energy_uj", os.O_CREAT | os.O_WRONLY)
begin = time.monotonic()
while True:
    milliseconds = int((time.monotonic() - begin) * 1e3)
    os.pwrite(counter, b"%018d\\n" % int(milliseconds * 1e3 * watts), 0)
    time.sleep(3e-4)
"""


@pytest.fixture
def powercap(tmp_path: Path) -> Iterator[Path]:
    zone = tmp_path / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    (zone / "name").write_text("package-0\n")
    (zone / "max_energy_range_uj").write_text("262143328850\n")
    with subprocess.Popen((sys.executable, "-c", METER, str(zone), str(WATTS))) as meter:
        yield zone.parent
        meter.kill()


def rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, dict[str, float]]]:
    assert done.returncode == 0, done.stderr
    (group,) = json.loads(done.stdout)["groups"]
    return {row["implementation"]: row["metrics"] for row in group["rows"]}


def test_a_known_power_over_a_known_time_is_the_energy_that_a_run_reports(
    place: Path, bench: Bench, powercap: Path
) -> None:
    arguments = ("--impl", "spin", "--duration", "10ms", "--launches", "2", "--budget", "0.4s", "--json")
    metrics = rows(bench("run", "calibration", *arguments, BENCHWRIGHT_POWERCAP=str(powercap)))["spin"]
    gross, power, idle, net = (metrics[name] for name in ("energy_gross", "power_mean", "power_idle", "energy_net"))
    assert power["median"] == pytest.approx(WATTS, rel=0.2)
    assert idle["median"] == pytest.approx(WATTS, rel=0.2)
    assert gross["median"] == pytest.approx(WATTS * 0.01, rel=0.5)
    assert gross["ci_low"] < gross["median"] < gross["ci_high"]
    assert net["ci_low"] < 0 < net["ci_high"]
    assert gross["provenance"] == "measured: RAPL package-0 (package)"
    (folder,) = (place / "results").iterdir()
    assert len(json.loads((folder / "run.json").read_text())["rests"]) == 2


def test_a_precision_of_zero_asks_for_no_energy(place: Path, bench: Bench, powercap: Path) -> None:
    arguments = ("--impl", "noop", "--launches", "1", "--budget", "0.1s", "--energy-precision", "0", "--json")
    metrics = rows(bench("run", "calibration", *arguments, BENCHWRIGHT_POWERCAP=str(powercap)))["noop"]
    assert (metrics["energy_gross"]["median"], "power_mean" in metrics) == (None, False)
    assert metrics["energy_gross"]["provenance"] == "unavailable: not asked for"


def test_a_window_that_cannot_be_long_enough_is_refused_with_the_numbers(
    place: Path, bench: Bench, powercap: Path
) -> None:
    arguments = ("--impl", "noop", "--launches", "1", "--budget", "0.1s", "--energy-precision", "0.001%", "--json")
    metrics = rows(bench("run", "calibration", *arguments, BENCHWRIGHT_POWERCAP=str(powercap)))["noop"]
    assert metrics["energy_gross"]["median"] is None
    assert "needs at least" in str(metrics["energy_gross"]["provenance"])


def test_without_a_meter_there_is_the_reason_and_never_a_zero(place: Path, bench: Bench) -> None:
    done = bench(
        "run", "calibration", "--impl", "noop", "--launches", "1", "--budget", "0.1s", BENCHWRIGHT_POWERCAP="/no"
    )
    assert "energy unavailable: no RAPL counters in /no" in done.stdout
    assert "0 J" not in done.stdout


def test_net_energy_is_gross_less_the_power_at_rest_with_both_uncertainties() -> None:
    case = Case("work", "base", (("n", 4),))
    group = Group(case.group, "base", (PlannedCase(case, Cost(flops=6e6, items=60)),))
    samples = [
        Sample("time", 1e-3, 0),
        Sample("energy_gross", 0.3, 0, uncertainty=0.006, provenance="measured: x"),
        Sample("power_mean", 300.0, 0, uncertainty=6.0, provenance="measured: x"),
    ]
    rests = (Rest("", 58.0, 1.0, "measured: x"), Rest("", 62.0, 1.0, "measured: x"))
    found = {row.metric: row for row in summarise([group], [Trial(case, 0, samples=samples)], Context(rests))}
    assert found["energy_net"].median == pytest.approx(0.24)
    assert found["energy_net"].ci_high - found["energy_net"].median == pytest.approx(0.006 + 3e-3, rel=0.05)
    assert (found["power_idle"].median, found["power_idle"].ci_low) == (60.0, 57.0)
    assert found["flops_per_joule"].median == pytest.approx(2e7)
    assert found["energy_per_item"].median == pytest.approx(5e-3)
    assert found["energy_per_item"].ci_high == pytest.approx(5.1e-3, rel=1e-3)
    assert found["energy_gross"].ci_high == pytest.approx(0.306, rel=1e-3)


def test_an_energy_that_is_not_there_has_nothing_derived_from_it() -> None:
    case = Case("work", "base", (("n", 4),))
    group = Group(case.group, "base", (PlannedCase(case, Cost(flops=6e6)),))
    trial = Trial(case, 0, samples=[Sample("time", 1e-3, 0), no_energy("unavailable: no meter")])
    found = {row.metric: row for row in summarise([group], [trial])}
    assert math.isnan(found["energy_gross"].median)
    assert found["energy_gross"].provenance == "unavailable: no meter"
    assert not {"energy_net", "power_idle", "flops_per_joule"} & set(found)
