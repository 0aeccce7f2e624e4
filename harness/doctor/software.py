"""The software that decides what is measured: torch, triton, threads, the checkout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.doctor.finding import FAIL, PASS, UNKNOWN, WARN, Finding

if TYPE_CHECKING:
    from harness.doctor.snapshot import Snapshot

_COUNTS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# These reach the workers whatever --threads says.
_PLACEMENT = (
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "OMP_THREAD_LIMIT",
    "OMP_DYNAMIC",
    "OMP_WAIT_POLICY",
    "GOMP_CPU_AFFINITY",
    "GOMP_SPINCOUNT",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "KMP_HW_SUBSET",
    "MKL_DYNAMIC",
)


def check_torch(machine: Snapshot) -> Finding:
    """Look whether torch's build fits the GPUs and their driver."""
    here = machine.environment
    version, built, known = here.packages["torch"], here.torch_cuda, machine.driver.cuda
    if not version:
        return Finding("torch", FAIL, "not installed", "pip install torch")
    figure = f"{version}, {f'a build for CUDA {built}' if built else 'a build without CUDA'}"
    if here.gpus and not built:
        remedy = "Install a build for CUDA: https://pytorch.org/get-started/locally"
        return Finding("torch", WARN, f"{figure}: the GPUs are left out", remedy)
    if built and not here.gpus:
        remedy = "Install NVIDIA's driver; nothing, if there is no GPU"
        return Finding("torch", WARN, f"{figure}, and no driver or device", remedy)
    if built and known and _major(known) < _major(built):
        remedy = f"Update NVIDIA's driver, or install a build of torch for CUDA {_major(known)}"
        return Finding("torch", FAIL, f"{figure}; driver {here.driver} ends at CUDA {known}", remedy)
    return Finding("torch", PASS, figure)


def check_triton(machine: Snapshot) -> Finding:
    """Look whether triton is the version that torch was built with."""
    version, wanted = machine.environment.packages["triton"], machine.triton_wanted
    if not version:
        remedy = f"pip install 'triton{wanted}'"
        return Finding("triton", WARN, "not installed: its implementations are left out", remedy)
    if not wanted:
        return Finding("triton", PASS, f"{version}; this build of torch asks for none")
    if matches_version(version, wanted):
        return Finding("triton", PASS, f"{version}, as torch asks for")
    return Finding("triton", WARN, f"{version}, and torch asks for {wanted}", f"pip install 'triton{wanted}'")


def check_threads(machine: Snapshot) -> Finding:
    """Look for settings of threads that this shell hands on, and that a run would not show."""
    cores = str(len(machine.usable))
    set_here = {name: machine.variables[name] for name in (*_COUNTS, *_PLACEMENT) if name in machine.variables}
    odd = {name: value for name, value in set_here.items() if name in _PLACEMENT or value != cores}
    if not odd:
        return Finding("threads", PASS, "no setting in the environment")
    figure = ", ".join(f"{name}={value}" for name, value in odd.items())
    remedy = f"unset {' '.join(odd)}\nThe number of threads is an option: bench run --threads N ..."
    return Finding("threads", WARN, figure, remedy)


def check_checkout(machine: Snapshot) -> Finding:
    """Look whether a commit stands for what is measured."""
    commit, dirty = machine.environment.git_commit[:12], machine.environment.git_dirty
    if not commit:
        return Finding("checkout", UNKNOWN, "not in a git checkout: runs are kept without a commit")
    if not dirty:
        return Finding("checkout", PASS, f"{commit}, clean")
    return Finding("checkout", WARN, f"{commit}, with changes that no commit has", "git commit, or git stash")


def matches_version(version: str, wanted: str) -> bool:
    """Return whether a version is the one asked for, as ``==3.7.1`` or ``~=3.8.0``; other rules are taken as met."""
    asked = wanted.partition(",")[0]
    exact = version.partition("+")[0]
    if asked.startswith("=="):
        return exact == asked[2:].strip()
    if asked.startswith("~="):
        numbers, floor = ([int(part) for part in text.split(".")] for text in (exact, asked[2:].strip()))
        return numbers >= floor and numbers[: len(floor) - 1] == floor[:-1]
    return True


def _major(version: str) -> int:
    return int(version.partition(".")[0])
