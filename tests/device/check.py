"""Runs steps of the device check one after the other, each in a process with a limit, and writes its line at once."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from table import BUNDLE, CALL_S, STEPS, Step, steps_of

HERE = Path(__file__).parent
HEADER = ("step", "status", "seconds", "figure", "expected")
USAGE = f"expected 1 | 2 | again STEP... | list; steps: {', '.join(step.name for step in STEPS)}"
# coreutils' timeout: the exit codes of a command that it ended, and the time between asking and killing.
ENDED, GRACE_S = (124, 137), 2
# A rehearsal has the cores of a small machine, which others may use: it takes this many times as long.
REHEARSAL = 4
# A step with less time than this is not begun, and this much of the log is kept.
LEAST_S, LOG_BYTES = 2, 2_000_000


def main(words: Sequence[str]) -> int:
    """Run what is asked for; the exit code is 0 if every step was ok or skipped, 1 if not, 2 for a wrong call."""
    known = {step.name: step for step in STEPS}
    match words:
        case ["list"]:
            print(*(f"{step.call}\t{step.name}\t{step.limit_s} s\t{step.expected}" for step in STEPS), sep="\n")
            return 0
        case ["1" | "2" as call]:
            steps = steps_of(int(call))
        case ["again", *names] if names and set(names) <= set(known):
            steps = tuple(known[name] for name in names)
        case _:
            print(f"run.sh {' '.join(words)}: {USAGE}", file=sys.stderr)
            return 2
    out = Path(os.environ.get("OUT") or HERE.parents[1] / "results" / "device")
    device = os.environ.get("DEVICE") or "cuda:0"
    deadline = float(os.environ.get("STARTED") or time.time()) + patience(device) * CALL_S
    statuses = run_steps(steps, out.resolve(), device, deadline)
    return 0 if set(statuses) <= {"ok", "skipped"} else 1


def run_steps(steps: Iterable[Step], out: Path, device: str, deadline: float) -> list[str]:
    """Run steps until the deadline (``time.time``), then bundle their runs; return their statuses.

    Whatever a step does, the next one runs: it has a process group of its own, which is killed at its limit.
    """
    out.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="device-check-"))
    statuses = []
    try:
        for step in (*steps, BUNDLE):
            kept_back_s = 0 if step is BUNDLE else BUNDLE.limit_s + GRACE_S
            left_s = deadline - time.time() - kept_back_s - GRACE_S
            statuses.append(run_step(step, out, work, device, min(patience(device) * step.limit_s, left_s)))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return statuses


def patience(device: str) -> int:
    """Return how many times as long as its limit a step may take."""
    return REHEARSAL if device == "cpu" else 1


def run_step(step: Step, out: Path, work: Path, device: str, limit_s: float) -> str:
    """Run one step, write its line and what it found, and return its status."""
    found: dict[str, Any] = {"figures": [], "missed": [], "error": ""}
    started, code = time.monotonic(), 0
    if step.cuda and device == "cpu":
        status, found["error"] = "skipped", "needs CUDA"
    elif limit_s < LEAST_S:
        status, found["error"] = "skipped", "no time left in this call"
    else:
        code = in_process(step, out, work, device, limit_s)
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((work / f"{step.name}.json").read_text())
        status = "timeout" if code in ENDED else "failed" if code else "off" if found["missed"] else "ok"
        if code and not found["error"]:
            found["error"] = f"killed after {limit_s:.0f} s" if code in ENDED else f"ended with {code}"
    keep(step, found, out)
    words = [*found["figures"], *(f"OFF: {one}" for one in found["missed"]), *filter(None, [found["error"]])]
    append_line(out, (step.name, status, f"{time.monotonic() - started:.1f}", "; ".join(words), step.expected))
    return status


def in_process(step: Step, out: Path, work: Path, device: str, limit_s: float) -> int:
    """Run one step in a process; what it prints goes to the log, of which the end is kept."""
    log = out / "log.txt"
    limited = ("timeout", f"--kill-after={GRACE_S}", f"{limit_s:.1f}")
    command = (sys.executable, HERE / "report.py", step.run, work / f"{step.name}.json", device, out, work)
    with log.open("ab") as file:
        file.write(f"==== {step.name} {time.strftime('%H:%M:%S')}\n".encode())
        file.flush()
        code = subprocess.call(
            (*limited, *command),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env={**os.environ, "TMPDIR": str(work), "PYTHONUNBUFFERED": "1"},
        )
    if log.stat().st_size > LOG_BYTES:
        log.write_bytes(log.read_bytes()[-LOG_BYTES:])
    return code


def keep(step: Step, found: dict[str, Any], out: Path) -> None:
    """Put figures and rows into the files that come back; what an earlier try found is replaced."""
    if found.get("data"):
        update(out / step.file, lambda known: {**known, step.name: found["data"]})
    if found.get("rows"):
        update(out / "rows.json", lambda known: {**known, step.name: found["rows"]})


def update(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change a JSON file so that it is whole at any moment."""
    known = json.loads(path.read_text()) if path.exists() else {}
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(change(known)))
    os.replace(partial, path)


def append_line(out: Path, cells: Sequence[str]) -> None:
    """Write a line to steps.tsv and to the terminal, and see to it that it is on disk."""
    path = out / "steps.tsv"
    lines = [cells] if path.exists() else [HEADER, cells]
    with path.open("a") as file:
        for line in lines:
            text = "\t".join(" ".join(cell.split()) for cell in line)
            print(text, file=file)
            print(text, flush=True)
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
