"""What the machine has, what the harness says of it, and what its driver's reads cost."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from importlib import metadata
from typing import TYPE_CHECKING, Any

import bench
import pynvml

from harness.probes.meter import MeterError
from harness.probes.nvml_report import read_report
from harness.probes.open_meter import open_device
from harness.probes.window import measure_tick

if TYPE_CHECKING:
    from report import Report

# Streaming multiprocessors and L2 in MiB as torch tells them.
CARDS = {"H100": (132, 50), "H200": (132, 60)}
LEAST = {"torch": (2, 11), "triton": (3, 6), "pandas": (3, 0)}
READS = 200


def software(report: Report) -> None:
    """Write env.txt, and expect the versions that the kernels were compiled with."""
    import torch

    versions = sorted(f"{one.name} {one.version}" for one in metadata.distributions())
    parts = [platform.platform(), platform.python_version(), torch.__config__.show(), *versions]
    parts += [f"{name}={value}" for name, value in os.environ.items() if name.startswith(("CUDA", "NVIDIA", "TORCH"))]
    for name, least in LEAST.items():
        found = metadata.version(name)
        report.want(tuple(int(part) for part in found.split(".")[:2]) >= least, f"{name} {found}")
        report.say(f"{name} {found}")
    report.want(bool(shutil.which("gcc")), "no gcc on PATH: Triton cannot build its launcher")
    if report.cuda:
        with contextlib.suppress(OSError):
            parts.append(subprocess.run(("nvidia-smi", "-q"), capture_output=True, text=True, check=False).stdout)
        told = torch.cuda.get_device_properties(report.device)
        report.say(f"{told.name}, {told.multi_processor_count} SMs, L2 {told.L2_cache_size / 2**20:.0f} MB")
        wanted = next((known for word, known in CARDS.items() if word in told.name), None)
        report.want(wanted == (told.multi_processor_count, told.L2_cache_size >> 20), "another card than H100 or H200")
        parts.append(str(told))
    (report.out / "env.txt").write_text("\n".join(parts))


def doctor(report: Report) -> None:
    """Expect a doctor that finds nothing to distrust, and a list that knows the device."""
    found = json.loads(bench.call("doctor", "--json").stdout)["findings"]
    failed = [f"{one['name']}: {one['figure']}" for one in found if one["status"] == "fail"]
    report.keep("doctor", found)
    report.say(f"{len(found)} checks, {len(failed)} fail")
    for one in failed:
        report.want(False, one)
    listed = bench.call("list")
    report.want(listed.returncode == 0, f"bench list ended with {listed.returncode}")
    report.say(listed.stdout.partition("\n")[0])


def driver(report: Report) -> None:
    """Time each read of a turn, find what the driver does not tell, and the tick of the energy counter."""
    import torch

    with contextlib.closing(open_device(report.device)) as nvidia:
        handle = pynvml.nvmlDeviceGetHandleByUUID(nvidia.uuid)
        for name, found in {name: _timed(read) for name, read in _reads(handle).items()}.items():
            report.keep(name, found)
            if isinstance(found, str):
                report.say(f"{name}: {found}")
            else:
                report.want(found["median"] < 1e-3, f"{name} takes {1e3 * found['median']:.2f} ms")
        untold = [key for key, value in dataclasses.asdict(read_report().devices[0]).items() if value is None]
        report.say(f"not told: {', '.join(untold) or 'nothing'}")
        counter, check = nvidia.meters()
        report.say(f"meter: {counter.name}, beside it: {check.name if check else 'none'}")
        matrix = torch.randn(8192, 8192, device=report.device, dtype=torch.bfloat16)
        for state in ("idle", "busy"):
            for _ in range(2000 if state == "busy" else 0):  # about three seconds of work
                torch.mm(matrix, matrix)
            with contextlib.suppress(MeterError):
                tick = measure_tick(counter, time.perf_counter, time.sleep)
                report.keep(f"tick_{state}", dataclasses.asdict(tick))
                report.say(f"tick {state} {1e3 * tick.period_s:.1f} ms +-{1e3 * tick.jitter_s:.1f}")
                report.want(0.015 < tick.period_s < 0.11, f"the tick is {1e3 * tick.period_s:.1f} ms")
        torch.cuda.synchronize()
        for meter in filter(None, (counter, check)):
            meter.close()


def _reads(handle: Any) -> dict[str, Any]:
    """Return the calls that a turn and a window make, by name."""
    gpu = [(pynvml.NVML_FI_DEV_POWER_INSTANT, pynvml.NVML_POWER_SCOPE_GPU)]
    return {
        "sm_clock": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM),
        "memory_clock": lambda: pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_MEM),
        "temperature": lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU),
        "clock_events": lambda: pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle),
        "power_instant": lambda: pynvml.nvmlDeviceGetFieldValues(handle, gpu),
        "power_average": lambda: pynvml.nvmlDeviceGetPowerUsage(handle),
        "energy": lambda: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle),
    }


def _timed(read: Any) -> dict[str, float] | str:
    """Return the median and the longest of some calls in seconds, or the driver's reason for none."""
    seconds = []
    for _ in range(READS):
        started = time.perf_counter()
        try:
            read()
        except pynvml.NVMLError as error:
            return str(error)
        seconds.append(time.perf_counter() - started)
    return {"median": statistics.median(seconds), "longest": max(seconds)}
