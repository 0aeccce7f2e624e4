"""The settings of the processor that move its clock or share its cores, and how hot it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.finding import FAIL, PASS, UNKNOWN, WARN, Finding
from harness.doctor.sysfs import find_paths, format_cores, parse_cores, read_integer, read_text

if TYPE_CHECKING:
    from pathlib import Path

    from harness.doctor.snapshot import Snapshot

_CPU = "sys/devices/system/cpu"
# Sensors of the processor, by the name of their driver or their zone.
_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "x86_pkg_temp", "cpu-thermal", "soc_thermal")
# Degrees below the limit at which the clock is lowered.
_CLOSE, _AT_LIMIT = 15, 3


def check_governor(machine: Snapshot) -> Finding:
    """Look at what decides the clock of each usable core."""
    names = sorted({name for core in machine.usable if (name := _governor(machine.root, core))})
    if not names:
        return Finding("governor", UNKNOWN, _outside(machine, "nothing here sets the cores' clock"))
    if names == ["performance"]:
        return Finding("governor", PASS, "performance")
    figure = f"{', '.join(names)}: the clock lags behind the load"
    return Finding("governor", WARN, figure, "sudo cpupower frequency-set -g performance")


def check_turbo(machine: Snapshot) -> Finding:
    """Look whether the clock may rise above what all cores can hold."""
    for path, off in ((f"{_CPU}/intel_pstate/no_turbo", 1), (f"{_CPU}/cpufreq/boost", 0)):
        value = read_integer(machine.root, path)
        if value == off:
            return Finding("turbo", PASS, "off")
        if value is not None:
            figure = "on: the clock depends on heat and on busy cores"
            return Finding("turbo", WARN, figure, f"echo {off} | sudo tee /{path}")
    return Finding("turbo", UNKNOWN, _outside(machine, "nothing here says"))


def check_siblings(machine: Snapshot) -> Finding:
    """Look for usable cores that are two threads of one."""
    firsts, usable = set(), machine.usable
    for core in usable:
        listed = read_text(machine.root, f"{_CPU}/cpu{core}/topology/thread_siblings_list")
        firsts.add(min(parse_cores(listed) & usable, default=core))
    shared = len(usable) - len(firsts)
    if not shared:
        hidden = "; a hypervisor may hide them" if machine.virtual else ""
        return Finding("siblings", PASS, f"none{hidden}")
    figure = f"{len(usable)} usable cores share {len(firsts)}: they slow each other"
    remedy = f"taskset -c {format_cores(firsts)} bench run ...\nor: echo off | sudo tee /{_CPU}/smt/control"
    return Finding("siblings", WARN, figure, remedy)


def check_heat(machine: Snapshot) -> Finding:
    """Look how far the processor is from the temperature at which its clock is lowered."""
    readings = [*_hwmon(machine.root), *_zones(machine.root)]
    if not readings:
        return Finding("heat", UNKNOWN, _outside(machine, "no sensor of the processor"))
    known = [(limit - now, now, limit) for now, limit in readings if limit]
    if not known:
        return Finding("heat", PASS, f"{max(now for now, _ in readings):.0f} °C; no limit is told")
    room, now, limit = min(known)
    status = FAIL if room <= _AT_LIMIT else WARN if room <= _CLOSE else PASS
    remedy = "Let it cool down: wait, clean the fans, or give it air"
    return Finding("heat", status, f"{now:.0f} °C, limit {limit:.0f} °C", "" if status == PASS else remedy)


def _governor(root: Path, core: int) -> str:
    return read_text(root, f"{_CPU}/cpu{core}/cpufreq/scaling_governor")


def _outside(machine: Snapshot, otherwise: str) -> str:
    return "not told to a virtual machine" if machine.virtual else otherwise


def _hwmon(root: Path) -> list[tuple[float, float]]:
    """Return temperature and limit of each of the processor's sensors, 0 for no limit."""
    readings = []
    for path in find_paths(root, "sys/class/hwmon/hwmon*/temp*_input"):
        folder, _, name = path.rpartition("/")
        if read_text(root, f"{folder}/name") in _SENSORS and (now := read_integer(root, path)) is not None:
            stem = f"{folder}/{name.removesuffix('_input')}"
            limit = read_integer(root, f"{stem}_crit") or read_integer(root, f"{stem}_max") or 0
            readings.append((now / 1000, limit / 1000))
    return readings


def _zones(root: Path) -> list[tuple[float, float]]:
    readings = []
    for path in find_paths(root, "sys/class/thermal/thermal_zone*/temp"):
        folder = path.rpartition("/")[0]
        if read_text(root, f"{folder}/type") in _SENSORS and (now := read_integer(root, path)) is not None:
            trips = [read_integer(root, trip) or 0 for trip in find_paths(root, f"{folder}/trip_point_*_temp")]
            readings.append((now / 1000, min((trip for trip in trips if trip > 0), default=0) / 1000))
    return readings
