"""Energy from end to end: a folder laid out like powercap's, whose counter a process moves, under real runs."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.measurements import summarize_trials
from harness.core.case import Case, Group, PlannedCase
from harness.core.run import Context
from harness.core.trial import CRASHED, OK, Rest, Sample, Trial
from harness.core.workload import Cost
from harness.launch.controller import idle_power
from harness.launch.controller.schedule import Progress
from harness.launch.worker import energy
from harness.probes.energy import explain_no_energy
from tests.launch.schedules import AFTER, BEFORE, PAIR, group, measured, statuses, told_to, trials
from tests.probes.test_energy import IDLE_W, Device, gauge
from tests.support.launcher import ENERGY_J, End, FakeLaunches, Script

Bench = Faked = Callable[..., subprocess.CompletedProcess[str]]
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


@pytest.fixture
def simulated_meter(monkeypatch: pytest.MonkeyPatch) -> Device:
    """A meter whose device draws a known power at rest, in simulated time."""
    device = Device()

    @contextmanager
    def open_gauge(name: str, seed: int, tick: Any = None) -> Iterator[Any]:
        yield gauge(device, tick)

    for module in (idle_power, energy):
        monkeypatch.setattr(module, "open_gauge", open_gauge)
    return device


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


def test_a_precision_of_zero_asks_for_no_energy(faked: Faked, simulated_meter: Device) -> None:
    arguments = ("--impl", "noop", "--launches", "1", "--budget", "0.1s", "--energy-precision", "0", "--json")
    metrics = rows(faked(FakeLaunches(), "run", "calibration", *arguments))["noop"]
    assert (metrics["energy_gross"]["median"], "power_mean" in metrics) == (None, False)
    assert metrics["energy_gross"]["provenance"] == "unavailable: not asked for"


def test_a_window_that_cannot_be_long_enough_is_refused_with_the_numbers(faked: Faked, simulated_meter: Device) -> None:
    arguments = ("--impl", "noop", "--launches", "1", "--budget", "0.1s", "--energy-precision", "0.001%", "--json")
    refused = energy.measure_step("cpu", lambda: simulated_meter.work(1e-3), 1e-3, 0, None, 1e-5)
    fake = FakeLaunches({"noop": Script(samples={"energy": refused})})
    metrics = rows(faked(fake, "run", "calibration", *arguments))["noop"]
    assert ("noop", "energy") in fake.given()
    assert metrics["energy_gross"]["median"] is None
    assert "needs at least" in str(metrics["energy_gross"]["provenance"])


def test_without_a_meter_there_is_the_reason_and_never_a_zero(faked: Faked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCHWRIGHT_POWERCAP", "/no")
    arguments = ("--impl", "noop", "--launches", "1", "--budget", "0.1s")
    done = faked(FakeLaunches(), "run", "calibration", *arguments)
    assert "energy unavailable: no RAPL counters in /no" in done.stdout
    assert "0 J" not in done.stdout


def test_the_power_at_rest_is_measured_before_and_after_and_is_that_of_all_sides(simulated_meter: Device) -> None:
    fake = FakeLaunches()
    events = measured(fake, group("a", "b"), sides=PAIR, launches=2, energy_precision=0.02)
    rests = [(place, side, event) for place, (side, event) in enumerate(events) if isinstance(event, Rest)]
    assert [(place, side) for place, side, _ in rests] == [(0, 0), (1, 1), (len(events) - 2, 0), (len(events) - 1, 1)]
    assert all(rest.watts == pytest.approx(IDLE_W, rel=0.03) for _, _, rest in rests)
    asked = [one for one in fake.orders if one.name == "energy"]
    assert len(asked) == 2 * 2 * 2
    (period_s, jitter_s), wanted = asked[0].arguments["tick"], asked[0].arguments["wanted"]
    assert (wanted, period_s) == (0.02, pytest.approx(simulated_meter.period_s, rel=0.01))
    assert jitter_s >= 0
    values = [s.value for side in (0, 1) for t in trials(events, side)["a"] for s in t.samples if "energy" in s.metric]
    assert values == [ENERGY_J] * 4


def test_a_failure_under_the_meter_is_a_failure_of_the_case(simulated_meter: Device) -> None:
    fake = FakeLaunches({"a": Script(end=End("energy", "crashed: died of SIGBUS"))})
    events = measured(fake, group("a", "b"), energy_precision=0.02)
    assert statuses(events) == {"a": [CRASHED], "b": [OK]}
    assert told_to(fake, "a")[-1] == "energy"


@pytest.mark.parametrize(
    ("precision", "reason"),
    [(0.0, "unavailable: not asked for"), (0.02, "unavailable: no RAPL counters in /no")],
)
def test_without_a_meter_or_a_wish_each_trial_has_the_reason_and_nobody_is_told_to_loop(
    monkeypatch: pytest.MonkeyPatch, precision: float, reason: str
) -> None:
    monkeypatch.setenv("BENCHWRIGHT_POWERCAP", "/no")
    fake = FakeLaunches()
    events = measured(fake, group("a", "b"), launches=2, energy_precision=precision)
    found = [sample for those in trials(events).values() for trial in those for sample in trial.samples]
    energies = [sample for sample in found if sample.metric == "energy_gross"]
    assert len(energies) == 4
    assert all(math.isnan(sample.value) and sample.provenance == reason for sample in energies)
    assert fake.given("energy") == []
    rests = [event.provenance for _, event in events if isinstance(event, Rest)]
    assert rests == ([reason] if precision else [])


def test_each_instrument_has_a_pass_of_its_own(simulated_meter: Device) -> None:
    """Memory before anything is timed; energy after everything is, of all cases; the check again at the end."""
    told: list[Progress] = []
    fake = FakeLaunches()
    measured(fake, group("a", "b"), told=told, energy_precision=0.02)
    passes = [one.doing for one in told]
    first = ["prepare", "check", "memory", "warm_up"]
    assert passes[: 1 + 2 * len(first)] == ["reference", *first, *first]
    assert passes[-4:] == ["energy", "recheck", "energy", "recheck"]
    assert set(passes[1 + 2 * len(first) : -4]) == {"turn"}
    own = [order for order in told_to(fake, "b") if order != "turn"]
    assert own == [*BEFORE, "energy", *AFTER]
    assert told_to(fake, "a")[:2] == ["prepare", "reference"]  # in a worker that computes nothing else


def test_net_energy_is_gross_less_the_power_at_rest_with_both_uncertainties() -> None:
    case = Case("work", "base", (("n", 4),))
    cases = Group(case.group, "base", (PlannedCase(case, Cost(flops=6e6, items=60)),))
    samples = [
        Sample("time", 1e-3, 0),
        Sample("energy_gross", 0.3, 0, uncertainty=0.006, provenance="measured: x"),
        Sample("power_mean", 300.0, 0, uncertainty=6.0, provenance="measured: x"),
    ]
    rests = (Rest("", 58.0, 1.0, "measured: x"), Rest("", 62.0, 1.0, "measured: x"))
    found = {row.metric: row for row in summarize_trials([cases], [Trial(case, 0, samples=samples)], Context(rests))}
    assert found["energy_net"].median == pytest.approx(0.24)
    assert found["energy_net"].ci_high - found["energy_net"].median == pytest.approx(0.006 + 3e-3, rel=0.05)
    assert (found["power_idle"].median, found["power_idle"].ci_low) == (60.0, 57.0)
    assert found["flops_per_joule"].median == pytest.approx(2e7)
    assert found["energy_per_item"].median == pytest.approx(5e-3)
    assert found["energy_per_item"].ci_high == pytest.approx(5.1e-3, rel=1e-3)
    assert found["energy_gross"].ci_high == pytest.approx(0.306, rel=1e-3)


def test_an_energy_that_is_not_there_has_nothing_derived_from_it() -> None:
    case = Case("work", "base", (("n", 4),))
    cases = Group(case.group, "base", (PlannedCase(case, Cost(flops=6e6)),))
    trial = Trial(case, 0, samples=[Sample("time", 1e-3, 0), explain_no_energy("unavailable: no meter")])
    found = {row.metric: row for row in summarize_trials([cases], [trial])}
    assert math.isnan(found["energy_gross"].median)
    assert found["energy_gross"].provenance == "unavailable: no meter"
    assert not {"energy_net", "power_idle", "flops_per_joule"} & set(found)
