"""Reads the machine: processor, memory, GPUs, software and the state of the checkout."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import re
import socket
from pathlib import Path
from typing import Any

from harness import cgroup, git
from harness.core.environment import Environment, Gpu

_ROOT = Path("/")
_PACKAGES = ("torch", "triton", "numpy", "nvidia-ml-py")
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "PYTORCH_CUDA_ALLOC_CONF", "NVIDIA_TF32_OVERRIDE")


def detect_environment() -> Environment:
    """Return the environment; takes milliseconds, imports no torch and opens no CUDA context.

    The commit is that of the checkout in which the command was started: what is measured is most often there.
    """
    gpus, driver, reason = _gpus()
    commit, dirty = git.read_head(Path.cwd())
    return Environment(
        host=socket.gethostname(),
        kernel=platform.release(),
        cpu_model=_cpu_model(),
        cpus_online=os.cpu_count() or 1,
        cpus_usable=count_usable_cpus(),
        governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        memory_total=_meminfo("MemTotal"),
        memory_available=read_available_memory(),
        container=_container(),
        load_1min=os.getloadavg()[0],
        python=platform.python_version(),
        benchwright=_version("benchwright"),
        packages={name: _version(name) for name in _PACKAGES},
        torch_cuda=_torch_cuda(),
        driver=driver,
        gpus=gpus,
        gpu_reason=reason,
        git_commit=commit,
        git_dirty=dirty,
        variables={name: os.environ[name] for name in _VARIABLES if name in os.environ},
    )


def count_usable_cpus(root: Path = _ROOT) -> int:
    """Return the cores that this process may use: its affinity, capped by its quota.

    More threads than a quota has whole cores are all stopped once it is spent.
    """
    cores, quota = len(os.sched_getaffinity(0)), cgroup.read_cpu_quota(root)
    return cores if quota is None else min(cores, max(1, int(quota)))


def read_available_memory(root: Path = _ROOT) -> int:
    """Return the host memory in bytes that can be had without swapping, within the limits of the process's groups."""
    free, limit = _meminfo("MemAvailable", root), cgroup.read_memory_limit(root)
    return free if limit is None else min(free, limit[1])


def has_module(name: str) -> bool:
    """Return whether a module can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def select_visible_gpus(gpus: tuple[Gpu, ...], wanted: str | None) -> tuple[Gpu, ...]:
    """Return the GPUs that CUDA will number from 0, given CUDA_VISIBLE_DEVICES: it stops at the first unknown."""
    if wanted is None:
        return gpus
    chosen = []
    for word in (word.strip() for word in wanted.split(",")):
        found = [gpu for gpu in gpus if word == str(gpu.index) or (word and gpu.uuid.startswith(word))]
        if not found:
            break
        chosen.append(found[0])
    return tuple(chosen)


def _gpus() -> tuple[tuple[Gpu, ...], str, str]:
    """Return the CUDA devices, the driver's version, and the reason where there are none."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except ImportError:
        return (), "", "nvidia-ml-py is not installed"
    except pynvml.NVMLError as error:
        return (), "", f"NVML: {error}"
    try:
        all_gpus = tuple(_gpu(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount()))
        gpus = select_visible_gpus(all_gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
        return (
            gpus,
            str(pynvml.nvmlSystemGetDriverVersion()),
            "" if gpus else "NVML finds no device that CUDA_VISIBLE_DEVICES allows",
        )
    except pynvml.NVMLError as error:
        return (), "", f"NVML: {error}"
    finally:
        pynvml.nvmlShutdown()


def _gpu(nvml: Any, index: int) -> Gpu:
    device = nvml.nvmlDeviceGetHandleByIndex(index)

    def optional(read: Any, *arguments: Any) -> Any:
        try:
            return read(device, *arguments)
        except nvml.NVMLError:
            return None

    memory = nvml.nvmlDeviceGetMemoryInfo(device)
    power = optional(nvml.nvmlDeviceGetPowerManagementLimit)
    clock = optional(nvml.nvmlDeviceGetMaxClockInfo, nvml.NVML_CLOCK_SM)
    persistence, ecc, mig = (
        optional(read)
        for read in (nvml.nvmlDeviceGetPersistenceMode, nvml.nvmlDeviceGetEccMode, nvml.nvmlDeviceGetMigMode)
    )
    return Gpu(
        index=index,
        name=str(nvml.nvmlDeviceGetName(device)),
        uuid=str(nvml.nvmlDeviceGetUUID(device)),
        capability=tuple(nvml.nvmlDeviceGetCudaComputeCapability(device)),
        memory_total=int(memory.total),
        memory_free=int(memory.free),
        power_limit_w=None if power is None else power / 1000,
        max_sm_clock_hz=None if clock is None else clock * 1e6,
        persistence=None if persistence is None else bool(persistence),
        ecc=None if ecc is None else bool(ecc[0]),
        mig=None if mig is None else bool(mig[0]),
    )


def _torch_cuda() -> str:
    """Return the CUDA version that torch was built for, read from its version file; empty for a CPU build."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return ""
    match = re.search(r"^cuda\b[^=]*= *'([^']+)'", _read(str(Path(spec.origin).with_name("version.py"))), re.MULTILINE)
    return match[1] if match else ""


def _cpu_model() -> str:
    match = re.search(r"^model name\s*: (.+)$", _read("/proc/cpuinfo"), re.MULTILINE)
    return match[1] if match else platform.machine()


def _container() -> str:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    return "kubernetes" if "KUBERNETES_SERVICE_HOST" in os.environ else ""


def _meminfo(name: str, root: Path = _ROOT) -> int:
    match = re.search(rf"^{name}:\s+(\d+) kB$", _read(str(root / "proc/meminfo")), re.MULTILINE)
    return int(match[1]) * 1024 if match else 0


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
