"""The workload `bandwidth`: one pass through `bytes` of memory, of which reads and writes each count once."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness import Axis, Check, Cost, Params, Reference, Workload


@dataclass(frozen=True)
class BandwidthInputs:
    """A vector of fp32 values: all that a reading pass moves; a copying pass moves one half of it elsewhere."""

    x: torch.Tensor

    @property
    def halves(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The two halves of the vector."""
        first, second = self.x.chunk(2)
        return first, second


def make_inputs(params: Params, device: str, generator: torch.Generator) -> BandwidthInputs:
    """Draw the vector from the standard normal distribution."""
    return BandwidthInputs(torch.randn(_elements(params), generator=generator).to(device))


def reference(inputs: BandwidthInputs) -> Reference:
    """Return what a copying pass has to leave, and what a reading one adds up: the product of the halves."""
    first, second = inputs.halves
    dot = torch.dot(first.double(), second.double())
    return Reference([first.double(), dot.reshape(1)], first.dtype, 1e-4 * first.numel() ** 0.5)


def check(output: torch.Tensor, reference: Reference) -> Check:
    """Compare with the copy, exactly, or with the sum, by its number of elements."""
    copied, dot = reference.value
    wanted, tolerance = (copied, 0.0) if output.numel() == copied.numel() else (dot, reference.max_abs_error)
    if output.dtype != reference.dtype or output.numel() != wanted.numel():
        return Check({}, f"{output.numel()} values of {output.dtype} returned, {wanted.numel()} expected")
    error = (output.double().reshape(-1) - wanted).abs().max().item()
    fault = f"max_abs_error {error:.3g} exceeds {tolerance:.3g}" if not error <= tolerance else ""
    return Check({"max_abs_error": error}, fault)


def _elements(params: Params) -> int:
    """Return an even number of fp32 values, at least two."""
    return max(2, int(params["bytes"]) // 8 * 2)


workload = Workload(
    name="bandwidth",
    help="A pass through memory: what a device moves at most in a second. Take many times the last cache.",
    axes=(Axis.size("bytes", "512MiB", "what a pass reads and writes together"),),
    make_inputs=make_inputs,
    reference=reference,
    baseline="copy",
    cost=lambda params: Cost(bytes=4 * _elements(params)),
    input_bytes=lambda params: 4 * _elements(params),
    check=check,
)
