"""Reads the small files of /proc and /sys below a root: that of the machine, or a folder laid out like it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def read_text(root: Path, path: str) -> str:
    """Return a file's text without the space around it; empty where it cannot be read."""
    try:
        return (root / path).read_text(errors="replace").strip()
    except OSError:
        return ""


def read_integer(root: Path, path: str) -> int | None:
    """Return a file's whole number; None where it has none."""
    text = read_text(root, path)
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def find_paths(root: Path, pattern: str) -> list[str]:
    """Return the paths below the root that match a pattern, in order."""
    return sorted(str(path.relative_to(root)) for path in root.glob(pattern))


def read_field(text: str, name: str) -> int:
    """Return the number after a name in lines such as ``MemTotal: 16 kB`` and ``pswpin 4``; 0 where it is missing."""
    match = re.search(rf"^{re.escape(name)}:?\s+(\d+)", text, re.MULTILINE)
    return int(match[1]) if match else 0


def parse_cores(text: str) -> set[int]:
    """Return the cores of a kernel's list such as ``0-3,8``."""
    cores: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        cores.update(range(int(first), int(last or first) + 1))
    return cores


def format_cores(cores: Iterable[int]) -> str:
    """Write cores as the kernel and ``taskset`` do: ``0-3,8``."""
    runs: list[list[int]] = []
    for core in sorted(cores):
        if runs and core == runs[-1][-1] + 1:
            runs[-1].append(core)
        else:
            runs.append([core])
    return ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
