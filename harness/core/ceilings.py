"""The roofs of a machine: the rates that nothing on it exceeds, as measured, and as its maker states them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Ceilings:
    """Measured roofs of one device under one number of threads.

    Attributes:
        flops_per_s: the fastest matrix product by dtype.
        bytes_per_s: the fastest way through memory.
        launch_s: what the host needs for one call of a small operator.
        measured_at: when, UTC.
    """

    flops_per_s: Mapping[str, float]
    bytes_per_s: float
    launch_s: float
    measured_at: str


@dataclass(frozen=True)
class Datasheet:
    """What a maker states for a device: dense bf16 with fp32 accumulation, and memory."""

    device: str
    bf16_flops_per_s: float
    bytes_per_s: float
    source: str


# By what NVML calls the device; the longest name that fits stands.
DATASHEETS = (
    Datasheet("NVIDIA A100-SXM4-40GB", 312e12, 1.555e12, "NVIDIA A100 datasheet, 2021"),
    Datasheet("NVIDIA A100-SXM4-80GB", 312e12, 2.039e12, "NVIDIA A100 datasheet, 2021"),
    Datasheet("NVIDIA A100 80GB PCIe", 312e12, 1.935e12, "NVIDIA A100 datasheet, 2021"),
    Datasheet("NVIDIA H100 PCIe", 756e12, 2.0e12, "NVIDIA H100 datasheet, 2023, half of the rate with sparsity"),
    Datasheet("NVIDIA H100 80GB HBM3", 989e12, 3.35e12, "NVIDIA H100 datasheet, 2023, half of the rate with sparsity"),
    Datasheet("NVIDIA H200", 989e12, 4.8e12, "NVIDIA H200 datasheet, 2024, half of the rate with sparsity"),
)


def find_datasheet(device: str) -> Datasheet | None:
    """Return what is known of a device by its name; None where nothing is."""
    fitting = [one for one in DATASHEETS if device.startswith(one.device)]
    return max(fitting, key=lambda one: len(one.device), default=None)
