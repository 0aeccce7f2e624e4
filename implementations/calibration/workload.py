"""The workload `calibration`: every step returns its input, after work of a known size."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness import Axis, Params, Reference, Workload


@dataclass(frozen=True)
class CalibrationInputs:
    """A vector of 4096 fp32 values to work on, and the sizes of the work: seconds, bytes, a fraction."""

    x: torch.Tensor
    duration: float
    bytes: int
    percent: float


def make_inputs(params: Params, device: str, generator: torch.Generator) -> CalibrationInputs:
    """Draw the vector from a normal distribution."""
    x = torch.randn(4096, generator=generator).to(device)
    return CalibrationInputs(x, float(params["duration"]), int(params["bytes"]), float(params["percent"]))


def reference(inputs: CalibrationInputs) -> Reference:
    """Return the vector itself, exactly."""
    return Reference(inputs.x.double(), dtype=inputs.x.dtype)


workload = Workload(
    name="calibration",
    help="Steps whose truth is known: what the harness should read on this machine.",
    axes=(
        Axis.duration("duration", "1ms", "how long `spin` takes"),
        Axis.size("bytes", "64MiB", "how much memory `allocate` takes"),
        Axis.percent("percent", "2%", "how much more work `slower` does than the twins"),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="twin_a",
    input_bytes=lambda params: 4096 * 4,
)
