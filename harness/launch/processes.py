"""Processes whose parent died: adopted, so that they can be found, and ended, so that none is left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection

_PR_SET_CHILD_SUBREAPER, _PR_SET_PDEATHSIG = 36, 1
# How long helpers of an ended worker (compiler pools, say) may take to notice, and what is killed to be gone.
_GRACE_S, _GONE_S = 0.5, 5.0
# Whoever is killed may leave children of its own, which are adopted in turn.
_GENERATIONS = 10


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies; otherwise that would be the init process."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def list_descendants(pid: int) -> list[int]:
    """Return the processes that came from one that adopts its orphans; microseconds where there are none."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in map(int, task.read_text().split()):
                found += [child, *list_descendants(child)]
    return found


def end_orphans(keep: Collection[int], since: float = 0.0) -> list[str]:
    """Kill the children of this process and all that comes from them, after a grace; return their names.

    Args:
        keep: children that stay.
        since: children that started before this time stay, too (seconds since the epoch).
    """
    names = []
    grace_s = _GRACE_S
    for _ in range(_GENERATIONS):
        strays = [c for c in psutil.Process().children() if c.pid not in keep and c.create_time() >= since]
        if not strays:
            break
        _, left = psutil.wait_procs(strays, timeout=grace_s)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                for one in (process, *process.children(recursive=True)):
                    names.append(os.fsencode(one.name()).decode(errors="replace"))
                    one.kill()
        psutil.wait_procs(left, timeout=_GONE_S)
        grace_s = 0.0  # what turns up now lost its parent just here
    return names
