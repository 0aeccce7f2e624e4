"""The workload `bandwidth`: one pass through memory, of which each byte that is read or written counts once.

`bytes` is what a step reads and writes together, whichever it does: a copy reads one half and writes as much, so that
rates of copy, read and write are of the same bytes. What a processor reads in order to overwrite a line of its cache is
not counted, as in STREAM (McCalpin 1995). The bytes must be many times the last-level cache, or the cache is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness import Axis, Check, Cost, Params, Reference, Workload

ITEM_BYTES = 8


@dataclass(frozen=True)
class BandwidthInputs:
    """What is read, and what is written.

    Attributes:
        x: int64, an even number of values: sums of integers are exact in any order, so that none can be left out.
        value: one int64 on the host, where a device need not be waited for to read it.
    """

    x: torch.Tensor
    value: torch.Tensor


def elements(params: Params) -> int:
    """Return an even number of values, at least two."""
    return max(2, int(params["bytes"]) // (2 * ITEM_BYTES) * 2)


def make_inputs(params: Params, device: str, generator: torch.Generator) -> BandwidthInputs:
    """Draw integers below 2**20, whose sum stays exact."""
    x = torch.empty(elements(params), dtype=torch.int64).random_(0, 1 << 20, generator=generator)
    value = torch.empty((), dtype=torch.int64).random_(0, 1 << 20, generator=generator)
    return BandwidthInputs(x.to(device), value)


def reference(inputs: BandwidthInputs) -> Reference:
    """Return what a pass leaves: a copy of the first half, the sum of all, or one value everywhere."""
    copied = inputs.x[: len(inputs.x) // 2].clone()
    return Reference(
        {"copied": copied, "sum": inputs.x.sum(), "written": inputs.value.expand(len(inputs.x))}, torch.int64
    )


def check(output: torch.Tensor, reference: Reference) -> Check:
    """Compare with what a pass of this form leaves, exactly."""
    wanted = next((one for one in reference.value.values() if one.shape == output.shape), None)
    if wanted is None or output.dtype != reference.dtype:
        return Check({}, f"{tuple(output.shape)} of {output.dtype} returned, which is none of copy, sum and fill")
    worst = (output - wanted.to(output.device)).abs_().max().item()
    return Check({"max_abs_error": worst}, f"an element differs by {worst}" if worst else "")


workload = Workload(
    name="bandwidth",
    help="A pass through memory: what a device moves at most in a second.",
    axes=(Axis.size("bytes", "512MiB", "what a pass reads and writes together; take many times the last cache"),),
    make_inputs=make_inputs,
    reference=reference,
    baseline="copy",
    cost=lambda params: Cost(bytes=ITEM_BYTES * elements(params)),
    input_bytes=lambda params: ITEM_BYTES * (elements(params) + 1),
    check=check,
)
