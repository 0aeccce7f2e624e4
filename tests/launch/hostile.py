"""A plug-in of bad implementations of `calibration`, and of some workloads of its own.

Loaded with ``--load``. The test that does so sets `HOSTILE_MARK`, a word for command lines by which a process is
found that clears its environment, and `HOSTILE_FOLDER`, where a file tells the test which process waits for it.
"""

from __future__ import annotations

import _thread
import atexit
import contextlib
import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy
import torch

from harness import Check, Params, Reference, Requires, Step, Workload, implementation

if TYPE_CHECKING:
    from implementations.calibration.workload import CalibrationInputs

_GIB = 1 << 30
_FOR_EVER_S = 3600.0
_forked: list[int] = []


class Trap(Sequence[torch.Tensor]):
    """An output that raises when it is looked at."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: Any) -> Any:
        raise RuntimeError("the output is a trap")


def _ones(params: Params, device: str, generator: torch.Generator) -> torch.Tensor:
    return torch.ones(4, device=device)


def _refuse(output: Any, reference: Reference) -> NoReturn:
    raise ZeroDivisionError("the check is broken")


def _count_wrong(output: Any, reference: Reference) -> Check:
    return Check({"wrong_elements": (output != reference.value).sum()})


check_raises = Workload("check_raises", "Its check raises.", (), _ones, Reference, "judged", check=_refuse)
check_counts = Workload(
    "check_counts",
    "Its check has an error of its own, in a tensor.",
    (),
    _ones,
    Reference,
    "counted",
    check=_count_wrong,
)


@implementation("check_raises")
def judged(inputs: torch.Tensor) -> Step:
    """Return the inputs, as it should."""
    return lambda: inputs


@implementation("check_counts")
def counted(inputs: torch.Tensor) -> Step:
    """Return the inputs, as it should."""
    return lambda: inputs


@implementation("calibration", requires=Requires(modules=("no_such_module",)))
def needs_module(inputs: CalibrationInputs) -> Step:
    """Need what nobody has."""
    raise AssertionError("built although its module is missing")


def _raise_key_error(params: Params) -> int:
    raise KeyError("no such axis")


@implementation("calibration", requires=Requires(memory=_raise_key_error))
def raises_in_requires(inputs: CalibrationInputs) -> Step:
    """Raise before it is known whether there will be a set-up."""
    raise AssertionError("built although its requirements are unknown")


@implementation("calibration")
def raises_in_set_up(inputs: CalibrationInputs) -> Step:
    """Raise before there is a step."""
    raise ValueError("no set-up today")


@implementation("calibration")
def returns_no_step(inputs: CalibrationInputs) -> Any:
    """Return the output where a step is expected."""
    return inputs.x


@implementation("calibration")
def raises_in_step(inputs: CalibrationInputs) -> Step:
    """Say something, then raise in the step."""

    def step() -> NoReturn:
        print("last words before the error")
        raise ValueError("no step\ntoday")

    return step


@implementation("calibration")
def raises_undecodable(inputs: CalibrationInputs) -> Step:
    """Raise with the name of a file that is not UTF-8."""

    def step() -> NoReturn:
        raise ValueError(os.fsdecode(b"no caf\xe9 today"))

    return step


@implementation("calibration")
def raises_in_check(inputs: CalibrationInputs) -> Step:
    """Return what raises when it is compared."""
    return Trap


@implementation("calibration")
def wrong_shape(inputs: CalibrationInputs) -> Step:
    """Leave the last element out."""
    return lambda: inputs.x[:-1].clone()


@implementation("calibration")
def wrong_dtype(inputs: CalibrationInputs) -> Step:
    """Return the right numbers in float64."""
    return lambda: inputs.x.double()


@implementation("calibration")
def nan(inputs: CalibrationInputs) -> Step:
    """Return one NaN among the right numbers."""

    def step() -> torch.Tensor:
        out = inputs.x.clone()
        out[7] = float("nan")
        return out

    return step


@implementation("calibration")
def wrong_numbers(inputs: CalibrationInputs) -> Step:
    """Be off by a half in one element."""

    def step() -> torch.Tensor:
        out = inputs.x.clone()
        out[7] += 0.5
        return out

    return step


@implementation("calibration")
def caches_output(inputs: CalibrationInputs) -> Step:
    """Compute once, and return the same for ever."""
    kept: list[torch.Tensor] = []

    def step() -> torch.Tensor:
        if not kept:
            kept.append(inputs.x.clone())
        return kept[0]

    return step


@implementation("calibration")
def changes_inputs(inputs: CalibrationInputs) -> Step:
    """Return the right output, and write over the inputs."""

    def step() -> torch.Tensor:
        out = inputs.x.clone()
        inputs.x.mul_(1.001)
        return out

    return step


@implementation("calibration")
def aborts(inputs: CalibrationInputs) -> Step:
    """Say something, then call abort, as a failed assertion in C does."""

    def step() -> None:
        print("last words before the abort")
        os.abort()

    return step


@implementation("calibration")
def segfaults(inputs: CalibrationInputs) -> Step:
    """Read from address zero."""
    return lambda: ctypes.string_at(0)


@implementation("calibration")
def dies_of_signal_40(inputs: CalibrationInputs) -> Step:
    """Die of a real-time signal, which has a number and no name."""
    return lambda: os.kill(os.getpid(), 40)


@implementation("calibration")
def exits(inputs: CalibrationInputs) -> Step:
    """Call sys.exit as if all were well."""
    return lambda: sys.exit(0)


@implementation("calibration")
def exits_at_once(inputs: CalibrationInputs) -> Step:
    """Leave without clean-up, as if all were well."""
    return lambda: os._exit(0)


@implementation("calibration")
def bomb_of_torch(inputs: CalibrationInputs) -> Step:
    """Take ever more memory in tensors; none of it is touched, so that the machine is not exhausted."""
    return lambda: _hoard(lambda: torch.empty(_GIB, dtype=torch.uint8))


@implementation("calibration")
def bomb_of_numpy(inputs: CalibrationInputs) -> Step:
    """Take ever more memory in arrays, untouched."""
    return lambda: _hoard(lambda: numpy.empty(_GIB, dtype=numpy.uint8))


@implementation("calibration")
def bomb_of_bytes(inputs: CalibrationInputs) -> Step:
    """Take ever more memory in Python's own objects, untouched."""
    return lambda: _hoard(lambda: bytes(_GIB))


@implementation("calibration")
def prints_megabytes(inputs: CalibrationInputs) -> Step:
    """Be right, and talk too much on both streams."""
    words = "the harness should not drown in this\n" * (1 << 12)

    def step() -> torch.Tensor:
        sys.stdout.write(words)
        sys.stderr.write(words)
        return inputs.x

    return step


@implementation("calibration")
def writes_everywhere(inputs: CalibrationInputs) -> Step:
    """Be right, and write a line to whatever is open."""

    def step() -> torch.Tensor:
        for descriptor in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                os.write(int(descriptor), b"0\n")
        return inputs.x

    return step


@implementation("calibration")
def leaves_child(inputs: CalibrationInputs) -> Step:
    """Fork a child that outlives the step."""
    if os.fork() == 0:
        time.sleep(_FOR_EVER_S)
    return lambda: inputs.x


@implementation("calibration")
def leaves_daemon(inputs: CalibrationInputs) -> Step:
    """Fork twice, so that the grandchild is an orphan in a session and under an environment of its own."""
    _daemonize()
    return lambda: inputs.x


@implementation("calibration")
def child_returns(inputs: CalibrationInputs) -> Step:
    """Fork in the worker's first step; the child goes on where the parent does, with a wrong output."""

    def step() -> torch.Tensor:
        if not _forked:  # else every child would fork in its next step
            _forked.append(os.getpid())
            if os.fork() == 0:
                return torch.zeros_like(inputs.x)
        return inputs.x

    return step


@implementation("calibration")
def leaves_thread(inputs: CalibrationInputs) -> Step:
    """Start a thread that keeps the process alive."""
    threading.Thread(target=threading.Event().wait, name="stubborn").start()
    return lambda: inputs.x


@implementation("calibration")
def leaves_daemon_thread(inputs: CalibrationInputs) -> Step:
    """Start a thread that nobody waits for."""
    threading.Thread(target=threading.Event().wait, name="lurking", daemon=True).start()
    return lambda: inputs.x


@implementation("calibration")
def shows_a_progress_bar(inputs: CalibrationInputs) -> Step:
    """Be right, and have a bar of tqdm, whose thread stays."""
    import tqdm

    tqdm.tqdm(total=2, file=sys.stdout).update()
    return lambda: inputs.x


@implementation("calibration")
def is_called_from_a_foreign_thread(inputs: CalibrationInputs) -> Step:
    """Be right, and ask which thread it is on one that Python did not start, as autograd's are."""
    done = threading.Event()

    def ask() -> None:
        threading.current_thread()
        done.set()

    _thread.start_new_thread(ask, ())
    done.wait()
    return lambda: inputs.x


@implementation("calibration")
def leaves_children_without_a_name(inputs: CalibrationInputs) -> Step:
    """Leave a crowd whose name is not UTF-8."""
    for _ in range(6):
        if os.fork() == 0:
            Path("/proc/self/comm").write_bytes(b"caf\xe9")
            time.sleep(_FOR_EVER_S)
    return lambda: inputs.x


@implementation("calibration")
def crashes_at_exit(inputs: CalibrationInputs) -> Step:
    """Be right until the process ends."""
    atexit.register(os.abort)
    return lambda: inputs.x


@implementation("calibration")
def counts_elsewhere(inputs: CalibrationInputs) -> Step:
    """Start a process in a session of its own that counts in a file for ever."""
    path = Path(os.environ["HOSTILE_FOLDER"], "count")
    code = f"import time\nfor n in range(10**9):\n open({str(path)!r}, 'a').write('.'); time.sleep(0.001)"
    subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    return lambda: inputs.x


@implementation("calibration")
def sleeps(inputs: CalibrationInputs) -> Step:
    """Never come back."""
    return lambda: time.sleep(_FOR_EVER_S)


@implementation("calibration")
def waits_for_a_kill(inputs: CalibrationInputs) -> Step:
    """Be right in 10 ms; from a duration of 2 ms, stop amid the timing, leave a daemon, and say who waits."""
    calls: list[int] = []

    def step() -> torch.Tensor:
        calls.append(1)
        # More calls than the check and the memory pass make together.
        if len(calls) == 30 and inputs.duration >= 2e-3:
            _daemonize()
            partial = Path(os.environ["HOSTILE_FOLDER"], "partial")
            partial.write_text(str(os.getpid()))
            partial.rename(partial.with_name("waiting"))
            time.sleep(_FOR_EVER_S)
        time.sleep(0.01)
        return inputs.x

    return step


def _hoard(take: Any) -> NoReturn:
    """Take memory until it is refused; to be given more than the machine has is no limit."""
    kept = []
    while len(kept) * _GIB <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"):
        kept.append(take())
    raise RuntimeError("nothing limits the memory of a worker")


def _daemonize() -> None:
    """Leave a process that no parent knows, whose command line alone carries the mark."""
    command = (sys.executable, "-c", f"import time; time.sleep({_FOR_EVER_S})", os.environ["HOSTILE_MARK"])
    if pid := os.fork():
        os.waitpid(pid, 0)
        return
    subprocess.Popen(command, env={}, start_new_session=True)
    os._exit(0)
