"""A plug-in whose step takes a known time, to be committed in several versions."""

from __future__ import annotations

import re
from pathlib import Path

from harness.launch.code_version import CodeVersion
from harness.launch.protocol import WorkerSpec
from tests.support.launcher import End, Script, noisy

WAITS = '''
from __future__ import annotations
import time
import torch
from harness import Axis, Reference, Workload, implementation

axes = (Axis.integer("n", 4, "Elements."),)
work = Workload("work", "Wait, and copy.", axes, lambda p, d, g: torch.ones(p["n"]), Reference, "waits")


def waiting(x, seconds):
    def step():
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass
        return x.clone()
    return step


@implementation("work")
def waits(x):
    """Wait."""
    return waiting(x, {seconds})
'''


def as_written(spec: WorkerSpec, side: CodeVersion) -> Script:
    """Return a script that takes the time that the plug-in of a side says, or fails in its set-up as that would."""
    (said,) = re.findall(r"^    return waiting\(x, (.+)\)$", Path(side.sources[0]).read_text(), re.MULTILINE)
    try:
        seconds = float(said) * (1 + side.planted)
    except ValueError:
        return Script(end=End("check", f"error: check: {said}"))
    return Script(noisy(seconds))
