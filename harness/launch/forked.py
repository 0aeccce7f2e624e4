"""Forked processes: each does one thing and ends there, and its exit code says how."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from harness.core.errors import HarnessError
from harness.launch import log

if TYPE_CHECKING:
    from collections.abc import Callable

_UNREPORTED = 70  # EX_SOFTWARE of sysexits.h


class ServerLostError(HarnessError):
    """A fork server has died, and with it everything that was forked from it; the next fork starts another."""


def fork_to(act: Callable[[], object]) -> int:
    """Fork a child that does one thing and exits; return its process id.

    Whatever the child raises ends here. In the caller's frames it would carry out the parent's clean-up.
    """
    if pid := os.fork():
        return pid
    code = _UNREPORTED
    try:
        act()
        code = 0
    except BaseException:
        log.write_traceback()
    finally:
        os._exit(code)


def explain_end(code: int) -> str:
    """Say how a process ended, by its exit code, which is minus the signal that it died of."""
    if code == _UNREPORTED:
        return f"failed, and could not report why (exit code {code})"
    if code >= 0:
        return f"exited with code {code}"
    known = {one.value: one.name for one in signal.Signals}
    return f"died of {known.get(-code, f'signal {-code}')}"
