"""Keeps the measured roofs of a machine, by its fingerprint, where later runs find them."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from harness.core.ceilings import Ceilings
from harness.core.errors import HarnessError

if TYPE_CHECKING:
    from harness.core.environment import Environment
    from harness.core.suite import Policy


def read_ceilings(environment: Environment, policy: Policy) -> Ceilings | None:
    """Return the roofs of this machine, device and number of threads; None where they were not measured."""
    try:
        return Ceilings(**json.loads(_path(environment, policy).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def write_ceilings(environment: Environment, policy: Policy, ceilings: Ceilings) -> Path:
    """Keep the roofs of this machine, and return the file.

    Raises:
        HarnessError: it cannot be written.
    """
    path = _path(environment, policy)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(asdict(ceilings), indent=1))
        partial.replace(path)
    except OSError as error:
        raise HarnessError(f"cannot write to {path.parent}: {error.strerror}") from None
    return path


def _path(environment: Environment, policy: Policy) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = json.dumps([environment.fingerprint, policy.device, policy.threads])
    return cache / "benchwright" / f"ceilings-{hashlib.sha256(key.encode()).hexdigest()[:12]}.json"
