"""The real console script, as a user calls it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

BENCH = str(Path(sys.executable).with_name("bench"))
_PATIENCE_S = 300


def environment(folder: Path | None = None, **variables: str) -> dict[str, str]:
    """Return the variables of a command that works in a folder, and in no other: also its lock for a user lies there.

    Args:
        folder: the current one by default.
        variables: to be set besides; those of a CI system are left out.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return {**inherited, "TMPDIR": str(folder or Path.cwd()), "COLUMNS": "120", **variables}


def bench(
    *arguments: str, cwd: Path | None = None, through: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Args:
        arguments: of ``bench``.
        cwd: the folder that it works in, the current one by default.
        through: a program that starts it, with its arguments: ``("prlimit", "--fsize=20000")``.
        variables: to be set in its environment.
    """
    return subprocess.run(
        (*through, BENCH, *arguments),
        cwd=cwd,
        env=environment(cwd, **variables),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )


def start(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.Popen[str]:
    """Start a command, whose outputs are pipes."""
    pipe = subprocess.PIPE
    return subprocess.Popen(
        (BENCH, *arguments), cwd=cwd, env=environment(cwd, **variables), stdout=pipe, stderr=pipe, text=True
    )
