"""The limits of the control groups that this process is in, of either version, on a host or in a container."""

from __future__ import annotations

from pathlib import Path

_ROOT = Path("/")
_MOUNT = "sys/fs/cgroup"


def read_cpu_quota(root: Path = _ROOT) -> float | None:
    """Return the CPU quota in cores, the smallest of all levels; None where there is none."""
    quotas = []
    for folder in _levels(root, "cpu"):
        words = _words(folder / "cpu.max")
        words = words or [*_words(folder / "cpu.cfs_quota_us"), *_words(folder / "cpu.cfs_period_us")]
        if len(words) == 2 and all(word.isdecimal() for word in words) and int(words[1]):
            quotas.append(int(words[0]) / int(words[1]))
    return min(quotas, default=None)


def count_throttled(root: Path = _ROOT) -> int:
    """Return how often a quota has stopped this process's group or one above it."""
    return sum(_field(folder / "cpu.stat", "nr_throttled") for folder in _levels(root, "cpu"))


def read_memory_limit(root: Path = _ROOT) -> tuple[int, int] | None:
    """Return the tightest memory limit in bytes and what is free below it; None where there is none.

    Version 1 has a limit always, far beyond any memory where none was set.
    """
    limits = []
    for folder in _levels(root, "memory"):
        names = ("memory.max", "memory.current", "inactive_file")
        if not (folder / names[0]).exists():
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        words = [*_words(folder / names[0]), *_words(folder / names[1])]
        if len(words) == 2 and all(word.isdecimal() for word in words):
            limit, used = map(int, words)
            # The kernel takes back pages of files that nobody has used lately before it calls the limit reached.
            limits.append((limit, max(0, limit - used + _field(folder / "memory.stat", names[2]))))
    return min(limits, key=lambda pair: pair[1], default=None)


def _levels(root: Path, controller: str) -> list[Path]:
    """Return the folders of the groups that limit this process, its own first.

    A container sees its own group where the host has the top one, whatever path the kernel names.
    """
    for line in sorted(_text(root / "proc/self/cgroup").splitlines(), reverse=True):
        number, names, path = line.split(":", 2)
        if controller in names.split(","):
            tops = [root / _MOUNT / names, root / _MOUNT / controller]
        elif number == "0":
            tops = [root / _MOUNT, root / _MOUNT / "unified"]
        else:
            continue
        top = next((top for top in tops if top.is_dir()), tops[0])
        own = top / path.lstrip("/")
        inside = [own, *own.parents][: len(own.relative_to(top).parts) + 1]
        return [folder for folder in inside if folder.is_dir()] if ".." not in path else [top]
    return []


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _words(path: Path) -> list[str]:
    return _text(path).split()


def _field(path: Path, name: str) -> int:
    """Return the number after a name; 0 where it is missing."""
    words = _words(path)
    return int(words[words.index(name) + 1]) if name in words else 0
