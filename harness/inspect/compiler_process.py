"""The parent's side: starts the process that compiles, and starts it again behind a kernel that brought it down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import IO, TYPE_CHECKING, Any

from harness.core.errors import HarnessError
from harness.core.trial import CRASHED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COMMAND = (sys.executable, "-P", "-m", "harness.inspect.child")


def compile_all(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what became of each kernel of a request, in order.

    Raises:
        HarnessError: the process does not start.
    """
    start = 0
    with tempfile.TemporaryDirectory(prefix="benchwright-") as cache, tempfile.TemporaryFile("w+") as log:
        while True:
            begun, child = None, _Child({**request, "start": start}, cache, log)
            for reply in child:
                begun = reply.get("begun")
                if ended := reply.get("ended"):
                    start += 1
                    yield ended
            if not child.code:
                return
            why = f"{_ending(child.code)}: {_last_line(log)}"
            if not begun:
                raise HarnessError(f"the process that compiles {why}")
            start += 1
            yield {**begun, "status": CRASHED, "message": f"the compiler {why}"}


class _Child:
    """One process that compiles; iterating reads its replies, and leaving early ends it with all that it started."""

    def __init__(self, request: Mapping[str, Any], cache: str, log: IO[str]) -> None:
        self.code = 0
        self._request = json.dumps(request)
        self._settings: dict[str, Any] = {"env": _variables(cache), "stderr": log, "start_new_session": True}

    def __iter__(self) -> Iterator[dict[str, Any]]:
        pipe = subprocess.PIPE
        with subprocess.Popen(_COMMAND, stdin=pipe, stdout=pipe, text=True, **self._settings) as process:
            try:
                assert process.stdin
                assert process.stdout
                process.stdin.write(self._request)
                process.stdin.close()
                yield from map(json.loads, process.stdout)
            except BaseException:  # also where the reader has gone
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                raise
            finally:
                self.code = process.wait()


def _variables(cache: str) -> dict[str, str]:
    """Return the environment of a compiler: no interpreter, nothing from a cache, no paths in the machine code."""
    inherited = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    inherited["TMPDIR"] = tempfile.gettempdir()  # its tools look nowhere else where the folder is missing
    switches = ("TRITON_ALWAYS_COMPILE", "TRITON_DUMP_PTXAS_LOG", "TRITON_DISABLE_LINE_INFO")
    return {**inherited, **dict.fromkeys(switches, "1"), "TRITON_CACHE_DIR": cache}


def _ending(code: int) -> str:
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    return next((line.strip() for line in reversed(log.read().splitlines()) if line.strip()), "it said nothing")
