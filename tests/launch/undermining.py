"""A plug-in of implementations that go at the harness itself: its processes, its files, and what it is told.

Loaded with ``--load``, as `hostile.py` is.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import socket
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from harness import Check, Params, Reference, Step, Workload, implementation

if TYPE_CHECKING:
    from implementations.calibration.workload import CalibrationInputs


def _ones(params: Params, device: str, generator: torch.Generator) -> torch.Tensor:
    return torch.ones(4, device=device)


class UnspeakableError(Exception):
    """An exception that raises when it is written."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


def _call_an_error_nan(output: Any, reference: Reference) -> Check:
    return Check({float("nan"): 1.0})  # type: ignore[dict-item]


check_names_nan = Workload(
    "check_names_nan", "Its check has no name.", (), _ones, Reference, "nameless", check=_call_an_error_nan
)
undermined = Workload("undermined", "For what goes at the harness's own.", (), _ones, Reference, "stays")


@implementation("check_names_nan")
def nameless(inputs: torch.Tensor) -> Step:
    """Return the inputs, as it should."""
    return lambda: inputs


@implementation("undermined")
def stays(inputs: torch.Tensor) -> Step:
    """Return the inputs, as it should."""
    return lambda: inputs


@implementation("undermined")
def kills_server(inputs: torch.Tensor) -> Step:
    """Kill what it was forked from, and go on."""

    def step() -> torch.Tensor:
        os.kill(os.getppid(), signal.SIGKILL)
        return inputs

    return step


@implementation("undermined")
def kills_server_amid_the_timing(inputs: torch.Tensor) -> Step:
    """Be right in 10 ms, until it kills what it was forked from."""
    calls: list[int] = []

    def step() -> torch.Tensor:
        calls.append(1)
        if len(calls) == 30:  # more than the check and the memory pass make together
            os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(0.01)
        return inputs

    return step


@implementation("undermined")
def stops_server(inputs: torch.Tensor) -> Step:
    """Be right, and stop what it was forked from."""

    def step() -> torch.Tensor:
        os.kill(os.getppid(), signal.SIGSTOP)
        return inputs

    return step


@implementation("undermined")
def removes_log(inputs: torch.Tensor) -> Step:
    """Be right, and remove the file that it writes to."""

    def step() -> torch.Tensor:
        print("last words before the file is gone")
        _log().unlink()
        return inputs

    return step


@implementation("undermined")
def removes_folder(inputs: torch.Tensor) -> Step:
    """Be right, and remove the folder in which the run keeps its references and logs."""

    def step() -> torch.Tensor:
        shutil.rmtree(_log().parent)
        return inputs

    return step


@implementation("undermined")
def remains(inputs: torch.Tensor) -> Step:
    """Return the inputs, as it should."""
    return lambda: inputs


@implementation("calibration")
def raises_unspeakable(inputs: CalibrationInputs) -> Step:
    """Raise what raises when it is written."""

    def step() -> NoReturn:
        raise UnspeakableError

    return step


@implementation("calibration")
def closes_streams(inputs: CalibrationInputs) -> Step:
    """Close the standard streams, and raise."""

    def step() -> NoReturn:
        sys.stdout.close()
        sys.stderr.close()
        raise ValueError("no streams today")

    return step


@implementation("calibration")
def cannot_write(inputs: CalibrationInputs) -> Step:
    """Raise where no file takes another byte, as on a disk that is full."""

    def step() -> NoReturn:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        raise ValueError("no space today")

    return step


@implementation("calibration")
def closes_everything(inputs: CalibrationInputs) -> Step:
    """Close every file but the standard streams, as one does in a daemon."""

    def step() -> torch.Tensor:
        os.closerange(3, 256)
        return inputs.x

    return step


@implementation("calibration")
def replies_too_deep(inputs: CalibrationInputs) -> Step:
    """Answer in place of the worker: with a list in a list in a list."""
    return _answering(inputs, "[" * 100_000 + "\n")


@implementation("calibration")
def replies_nan_for_a_name(inputs: CalibrationInputs) -> Step:
    """Answer in place of the worker: with a metric that is called NaN, and not "NaN"."""
    return _answering(inputs, '{"status": "ok", "at": 0, "message": "", "samples": [[NaN, 1.0]], "number": 2}\n')


@implementation("calibration")
def replies_in_form(inputs: CalibrationInputs) -> Step:
    """Answer in place of the worker: that all is well, to the second of its orders."""
    return _answering(inputs, '{"status": "ok", "at": 0, "message": "", "samples": [], "number": 2}\n')


def _log() -> Path:
    """Return the file that the worker writes to, and see that it is one that may be removed."""
    path = Path(os.readlink("/proc/self/fd/1"))
    if not path.parent.name.startswith("benchwright-"):
        raise AssertionError(f"{path} is not a log in the folder of a run")
    return path


def _answering(inputs: CalibrationInputs, words: str) -> Step:
    """Return a right step that writes to the harness first."""

    def step() -> torch.Tensor:
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(os.fstat(int(name)).st_mode):
                    socket.socket(fileno=os.dup(int(name))).sendall(words.encode())
        return inputs.x

    return step
