"""The machine and its software, as kept with every run."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from harness.core.field_types import check_fields, check_list

# What may differ between two runs whose numbers can still be compared: identity, momentary state, the code under test.
_VOLATILE = {"host", "load_1min", "memory_available", "git_commit", "git_dirty", "benchwright"}


@dataclass(frozen=True)
class Gpu:
    """One CUDA device, as the driver describes it (bytes, watts, hertz)."""

    index: int
    name: str
    uuid: str
    capability: tuple[int, int]
    memory_total: int
    memory_free: int
    power_limit_w: float | None = None
    max_sm_clock_hz: float | None = None
    persistence: bool | None = None
    ecc: bool | None = None
    mig: bool | None = None


@dataclass(frozen=True)
class Environment:
    """Machine and software. Sizes are bytes; a field that cannot be read is None or empty.

    ``hosts`` has the names of all where a run spans several; the rest is of the first.
    """

    host: str
    kernel: str
    cpu_model: str
    cpus_online: int
    cpus_usable: int
    governor: str
    memory_total: int
    memory_available: int
    container: str
    load_1min: float
    python: str
    benchwright: str
    packages: dict[str, str]
    torch_cuda: str
    driver: str
    gpus: tuple[Gpu, ...]
    gpu_reason: str
    git_commit: str
    git_dirty: bool
    variables: dict[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()

    def _deciding(self) -> dict[str, Any]:
        data = {key: value for key, value in vars(self).items() if key not in _VOLATILE}
        if hosts := data.pop("hosts"):
            data["nodes"] = len(hosts)
        data["gpus"] = [{k: v for k, v in vars(gpu).items() if k != "memory_free"} for gpu in data["gpus"]]
        return data

    @property
    def fingerprint(self) -> str:
        """A short hash over the fields that decide whether two runs can be compared."""
        text = json.dumps(self._deciding(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def differences(self, other: Environment) -> list[str]:
        """The deciding fields in which two environments differ, as ``name: ours -> theirs``."""
        ours, theirs = ({"nodes": 1, **json.loads(json.dumps(one._deciding()))} for one in (self, other))
        return [f"{key}: {ours[key]} -> {theirs[key]}" for key in ours if ours[key] != theirs[key]]


def shorten_name(device: str) -> str:
    """Return the name of a processor or a GPU without its maker's ornaments."""
    return " ".join(re.sub(r"\((?:R|TM|tm)\)|\bCPU\b|\bProcessor\b|@.*", "", device).split())


def write_environment(environment: Environment) -> dict[str, Any]:
    """Return the environment as JSON-ready data, its fingerprint included."""
    return {**asdict(environment), "fingerprint": environment.fingerprint}


def read_environment(data: dict[str, Any]) -> Environment:
    """Rebuild an environment from :func:`environment_to_json`; what a later version adds is left out.

    Raises:
        KeyError, TypeError: a field is missing, or of another type.
    """
    known = {item.name for item in fields(Environment)}
    gpus = tuple(Gpu(**{**gpu, "capability": tuple(gpu["capability"])}) for gpu in data["gpus"])
    kept = {key: value for key, value in data.items() if key in known}
    return check_fields(Environment(**{**kept, "gpus": gpus, "hosts": tuple(check_list(data.get("hosts", [])))}))
