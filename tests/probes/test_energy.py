"""Windows on a simulated device whose energy is known: time passes only as it works, rests and is read."""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass

import pytest

from harness.analysis.net_energy import derive_energies, estimate_idle_power
from harness.core.case import Case, PlannedCase
from harness.core.flag import Flag
from harness.core.measurement import Measurement
from harness.core.trial import Rest
from harness.probes.energy import EnergyReading, StepEnergy, measure_idle_power, measure_step_energy
from harness.probes.meter import INTEGRATED, MEASURED, MeterError, Reason, Tick
from harness.probes.window import Gauge

IDLE_W, BUSY_W = 60.0, 300.0


@dataclass
class Device:
    """A device and its counter, which moves every ``period_s`` by what its sensor saw in the first ``seen`` part.

    A step draws ``2 * first`` times the busy power in its first half, and the rest in its second. A queued device works
    while it is read, one that is not draws ``read_w``. What is counted shows up to ``late_s`` later.
    """

    seed: int = 0
    period_s: float = 0.1
    step_s: float = 1e-3
    first: float = 0.5
    noise: float = 0.0
    seen: float = 1.0
    queued: bool = True
    read_s: float = 20e-6
    read_w: float = IDLE_W
    late_s: float = 0.0
    scale: float = 1.0
    falls_at_s: float = math.inf
    name: str = "simulated counter"
    scope: str = "gpu"
    provenance: str = MEASURED
    tick_s: float | None = None
    settle_s: float = 0.1
    resolution_j: float = 1e-3

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.time_s = self.counted_j = self.shown_j = self.due_s = self.seen_j = self.credit_s = 0.0
        self.looking, self.left_s = True, self.random.uniform(0, self.period_s * self.seen)
        self.began_s: float | None = None
        self.steps = 0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.advance(seconds + self.random.expovariate(1 / 60e-6), IDLE_W)

    def read(self) -> float:
        self.advance(self.read_s, BUSY_W if self.steps and self.queued else self.read_w)
        self.credit_s += self.read_s if self.queued else 0.0
        if self.time_s >= self.due_s:
            self.shown_j = self.counted_j
        fallen_j = 50.0 if self.time_s > self.falls_at_s else 0.0
        return math.floor((1000 + self.shown_j - fallen_j) * self.scale * 1000) / 1000

    def close(self) -> None:
        pass

    def work(self, seconds: float) -> int:
        steps = max(1, round(seconds / self.step_s))
        self.steps += steps
        self.began_s = self.time_s if self.began_s is None else self.began_s
        for _ in range(steps):
            watts = BUSY_W * math.exp(self.noise * self.random.gauss(0, 1) - self.noise**2 / 2)
            half_s = self.step_s / 2 * self.random.uniform(0.98, 1.02)
            done_s, self.credit_s = min(self.credit_s, half_s), 0.0
            self.advance(half_s - done_s, 2 * self.first * watts)
            self.advance(half_s, 2 * (1 - self.first) * watts)
        return steps

    def advance(self, seconds: float, watts: float) -> None:
        """Let time pass, to the end of what the sensor sees, to the end of the tick, and so on."""
        while seconds > 0:
            taken_s = min(seconds, self.left_s)
            self.time_s += taken_s
            self.seen_j += watts * taken_s if self.looking else 0.0
            self.left_s -= taken_s
            seconds -= taken_s
            if self.left_s <= 0:
                self.turn()

    def turn(self) -> None:
        if self.looking and self.seen < 1:
            self.looking, self.left_s = False, (1 - self.seen) * self.period_s
            return
        self.counted_j += self.seen_j / self.seen
        self.looking, self.left_s, self.seen_j = True, self.seen * self.period_s, 0.0
        self.due_s = self.time_s + self.random.uniform(0, self.late_s)


def gauge(device: Device, tick: Tick | None = None, check: Device | None = None) -> Gauge:
    return Gauge(device, tick, check, device.queued, device.seed, device.now, device.sleep)


def rest(watts: EnergyReading) -> Rest:
    return Rest("", watts.value, watts.uncertainty, watts.provenance)


def watts(value: float, half: float = 1.0, provenance: str = MEASURED) -> Rest:
    return rest(EnergyReading(value, half, provenance))


def net(energy: StepEnergy, *rests: Rest) -> Measurement | None:
    """Return the net energy that a run would report."""
    found = {"energy_gross": energy.gross, "power_mean": energy.power}
    case = Case("work", "base", ())
    rows = {
        name: Measurement(
            case,
            name,
            1,
            1,
            one.value,
            one.value - one.uncertainty,
            one.value + one.uncertainty,
            energy.flags,
            one.provenance,
        )
        for name, one in found.items()
    }
    return {row.metric: row for row in derive_energies(PlannedCase(case), rows, rests)}.get("energy_net")


@pytest.mark.parametrize(
    "kind",
    [
        {"late_s": 3e-3},
        {"queued": False, "read_s": 60e-6},
        {"queued": False, "read_s": 60e-6, "read_w": BUSY_W},
        {"period_s": 0.02, "late_s": 2e-3},
        {"step_s": 30e-3, "first": 1.0},
        {"step_s": 80e-3, "first": 0.1},
        {"step_s": 0.25, "first": 1.0, "queued": False},
        {"step_s": 3.7, "first": 1.0},
        {"period_s": 1e-3, "queued": False, "read_s": 100e-6},
        {"noise": 0.15, "step_s": 4e-3, "seen": 0.25},
    ],
    ids=str,
)
def test_the_energy_of_a_step_is_within_its_own_uncertainty_which_is_as_small_as_wanted(kind: dict[str, float]) -> None:
    held = 0
    for seed in range(100):
        device = Device(seed, **kind)
        energy = measure_step_energy(gauge(device), device.work, wanted=0.02)
        truth = BUSY_W * device.step_s
        assert energy.gross.provenance == MEASURED
        assert 0 < energy.gross.uncertainty <= 0.02 * energy.gross.value
        assert energy.gross.uncertainty <= 0.021 * truth
        held += abs(energy.gross.value - truth) <= energy.gross.uncertainty
    assert held >= 95


def test_polled_power_is_integrated_and_held_to_the_same_rule() -> None:
    device = Device(provenance=INTEGRATED, period_s=1e-3, tick_s=0.1)
    energy = measure_step_energy(gauge(device), device.work, wanted=0.02)
    assert energy.gross.provenance == INTEGRATED
    assert energy.gross.value == pytest.approx(0.3, rel=0.02)
    assert energy.window is not None
    assert energy.window.seconds >= 2 * 0.1 / 0.02


@pytest.mark.parametrize("step_s", [1e-3, 0.2])
def test_a_window_that_is_too_short_is_refused_with_the_numbers(step_s: float) -> None:
    device = Device(step_s=step_s)
    energy = measure_step_energy(gauge(device, Tick(0.1, 0.0)), device.work, wanted=0.02, limit_s=0.2)
    assert energy.window is None
    assert energy.gross.reason is Reason.TOO_SHORT
    assert math.isnan(energy.gross.value)
    needed = "2.00 s" if step_s == 1e-3 else "10.0 s"
    said = f"a window of 200 ms is 2 ticks of simulated counter; 2 % needs at least {needed}"
    assert energy.gross.provenance == f"unavailable: {said}"
    assert device.steps * step_s < 0.4


def test_a_load_too_uneven_for_the_limit_is_refused_with_what_was_reached() -> None:
    device = Device(noise=1.0, step_s=50e-3, seen=0.25)
    energy = measure_step_energy(gauge(device), device.work, wanted=0.02, limit_s=8.0)
    assert energy.gross.reason is Reason.TOO_SHORT
    assert ", good to " in energy.gross.provenance


def test_windows_of_a_loop_that_keeps_step_with_the_sensor_are_right_on_average() -> None:
    values, phases = list[float](), list[float]()
    for seed in range(60):
        device = Device(3, step_s=20e-3, first=1.0, seen=0.25)
        one = Gauge(device, Tick(0.1, 0.0), None, True, seed, device.now, device.sleep)
        values.append(one.window(device.work, wanted=0.2, limit_s=30.0).watts)
        phases.append((device.began_s or 0.0) % 0.1)
    assert max(phases) - min(phases) > 0.08
    assert max(values) > 1.1 * BUSY_W
    assert min(values) < 0.9 * BUSY_W
    assert statistics.fmean(values) == pytest.approx(BUSY_W, rel=0.05)


def test_a_window_begins_when_the_work_has_run_for_as_long_as_the_meter_averages() -> None:
    device = Device(settle_s=1.1)
    energy = measure_step_energy(gauge(device), device.work)
    assert energy.window is not None
    assert device.steps * device.step_s >= 1.1 + energy.window.seconds


def test_net_energy_is_gross_less_what_is_drawn_at_rest_in_the_same_time() -> None:
    device = Device()
    one = gauge(device)
    idle = measure_idle_power(one)
    energy = measure_step_energy(one, device.work)
    found = net(energy, rest(idle))
    assert found is not None
    assert idle.value == pytest.approx(IDLE_W, rel=0.02)
    assert found.ci_low <= 240e-3 <= found.ci_high
    half_j = energy.gross.uncertainty + idle.uncertainty * energy.step_s
    assert found.ci_high - found.median == pytest.approx(half_j)
    assert found.provenance == MEASURED


def test_idle_power_that_changed_is_as_uncertain_as_the_change() -> None:
    assert estimate_idle_power([watts(60), watts(64, 2)]) == watts(62, 4)


@pytest.mark.parametrize("integrated", [0, 1, 2])
def test_net_energy_is_integrated_where_any_part_of_it_is(integrated: int) -> None:
    how = [INTEGRATED if part == integrated else MEASURED for part in range(3)]
    gross, power = EnergyReading(0.3, 6e-3, how[0]), EnergyReading(300.0, 6.0, how[0])
    energy = StepEnergy(gross, power, 1e-3, None, "gpu", ())
    found = net(energy, watts(60, provenance=how[1]), watts(60, provenance=how[2]))
    assert found is not None
    assert found.provenance == INTEGRATED


def test_without_idle_power_there_is_no_net_energy() -> None:
    missing = EnergyReading(math.nan, math.nan, "unavailable: gone", Reason.DEVICE_LOST)
    device = Device()
    energy = measure_step_energy(gauge(device), device.work)
    assert net(energy, rest(missing)) is None
    assert net(StepEnergy(missing, missing, 0.0, None, "gpu", ()), watts(60)) is None
    assert estimate_idle_power([rest(missing), watts(60)]) == watts(60)


OFF = (Flag.METERS_DISAGREE,)


@pytest.mark.parametrize(("scale", "flags"), [(1.03, ()), (0.97, ()), (1.08, OFF), (0.92, OFF)])
def test_a_second_meter_that_is_off_by_over_5_percent_is_flagged(scale: float, flags: tuple[Flag, ...]) -> None:
    device = Device()

    class Check(Device):
        def read(self) -> float:
            return scale * (device.counted_j + device.seen_j)

    energy = measure_step_energy(gauge(device, check=Check()), device.work)
    assert energy.flags == flags
    assert getattr(net(energy, watts(60)), "flags", None) == flags
    assert energy.gross.value == pytest.approx(0.3, rel=0.02)


def test_a_second_meter_that_fails_costs_the_check_alone() -> None:
    class Check(Device):
        def read(self) -> float:
            raise MeterError(Reason.NO_PERMISSION, "not for you")

    device = Device()
    energy = measure_step_energy(gauge(device, check=Check()), device.work)
    assert energy.window is not None
    assert energy.window.disagreement is None
    assert energy.gross.reason is None


def test_a_counter_that_goes_backwards_gives_no_figure() -> None:
    device = Device(falls_at_s=2.5)
    energy = measure_step_energy(gauge(device), device.work)
    assert energy.gross.reason is Reason.WENT_BACKWARDS
    assert "went backwards by" in energy.gross.provenance
    assert energy.power.reason is Reason.WENT_BACKWARDS


def test_a_counter_that_stands_still_gives_no_figure_and_never_zero() -> None:
    with pytest.raises(MeterError, match="moved 0 times in 3 s") as caught:
        gauge(Device(scale=0.0))
    assert caught.value.reason is Reason.NO_TICK
    for step_s, wanted in ((1e-3, 0.02), (0.5, 0.02), (0.5, 0.5)):
        device = Device(scale=0.0, step_s=step_s)
        energy = measure_step_energy(gauge(device, Tick(0.1, 0.0)), device.work, wanted)
        assert energy.gross.reason is Reason.NO_TICK
        assert math.isnan(energy.gross.value)


def test_work_that_ends_no_step_has_no_energy_of_a_step() -> None:
    device = Device()
    one = gauge(device)
    assert measure_step_energy(one, one.rest).gross.reason is Reason.TOO_SHORT


@pytest.mark.parametrize("period_s", [0.01, 0.02, 0.1])
def test_the_tick_is_measured_once_and_can_be_kept(period_s: float) -> None:
    device = Device(period_s=period_s, late_s=period_s / 20)
    tick = gauge(device).tick
    assert tick.period_s == pytest.approx(period_s, rel=0.05)
    assert 0 <= tick.jitter_s <= period_s / 10
    spent_s = device.time_s
    assert gauge(device, tick).tick is tick
    assert device.time_s == spent_s


def test_what_a_step_raises_is_not_taken_for_a_fault_of_the_meter() -> None:
    def fail(seconds: float) -> int:
        raise ValueError("the step's own")

    with pytest.raises(ValueError, match="the step's own"):
        measure_step_energy(gauge(Device()), fail)
