"""Asks NVIDIA's own tool about the GPUs: it names each setting as its remedy does, and what cannot be read is N/A."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from harness.core.environment import Environment

_LIMIT_S = 20


@dataclass(frozen=True)
class Device:
    """One GPU: its number, and its part of the tool's document."""

    index: int
    document: ElementTree.Element

    def text(self, *paths: str) -> str:
        """Return the first of some elements that has a text; drivers have renamed a few over the years."""
        texts = ((self.document.findtext(path) or "").strip() for path in paths)
        return next((text for text in texts if text and text != "N/A"), "")

    def number(self, *paths: str) -> float | None:
        """Return the number in front of a unit, as in ``700.00 W``; None where there is none."""
        match = re.match(r"-?\d+(\.\d+)?", self.text(*paths))
        return float(match[0]) if match else None


@dataclass(frozen=True)
class Driver:
    """What the tool says: the GPUs that CUDA will see, the newest CUDA that the driver knows, or why neither."""

    devices: tuple[Device, ...] = ()
    cuda: str = ""
    reason: str = ""


def ask_driver(environment: Environment) -> Driver:
    """Return the state of the GPUs that were detected."""
    if not environment.gpus:
        return Driver(reason=environment.gpu_reason)
    try:
        done = subprocess.run(
            ("nvidia-smi", "-q", "-x"), capture_output=True, text=True, errors="replace", timeout=_LIMIT_S, check=True
        )
        document = ElementTree.fromstring(done.stdout)
    except (OSError, subprocess.SubprocessError, ElementTree.ParseError) as error:
        return Driver(reason=f"nvidia-smi does not say more: {error}")
    by_uuid = {gpu.findtext("uuid"): gpu for gpu in document.iter("gpu")}
    devices = tuple(Device(gpu.index, by_uuid[gpu.uuid]) for gpu in environment.gpus if gpu.uuid in by_uuid)
    reason = "" if devices else "nvidia-smi does not list them"
    return Driver(devices, document.findtext("cuda_version") or "", reason)
