"""The workload `all_reduce`: every rank has a tensor, and at the end every rank has their sum.

It is what ranks that train do with their gradients, by itself. Rates are those of NCCL's tests (nccl-tests,
doc/PERFORMANCE.md): `algorithm_bandwidth` is the tensor's size over the time, and `bus_bandwidth` 2 (n - 1) / n of
that, what each rank must at least send and receive whatever the algorithm. The latter can be held against a link, and
does not fall by itself as ranks are added.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness import Axis, Cost, Params, Reference, Requires, Workload

ITEM_BYTES = {"fp64": 8, "fp32": 4, "bf16": 2}
_DTYPES = {"fp64": "float64", "fp32": "float32", "bf16": "bfloat16"}
_SEEDS = 1 << 40


@dataclass(frozen=True)
class AllReduceInputs:
    """What one rank has, and where that of all ranks comes from.

    Attributes:
        x: of one dimension; another on each rank.
        ranks: how many have one.
        seed: from which each rank's can be drawn again, on any rank.
    """

    x: torch.Tensor
    ranks: int
    seed: int


def on_ranks(params: Params) -> int:
    """Return the ranks that a point names."""
    return int(params["world_size"])


def make_inputs(params: Params, device: str, generator: torch.Generator) -> AllReduceInputs:
    """Draw the tensor of this rank; of the first, in a process that has no ranks."""
    seed = int(torch.randint(_SEEDS, (), generator=generator))
    rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
    name = str(params["dtype"])
    x = _drawn(seed + rank, int(params["bytes"]) // ITEM_BYTES[name], getattr(torch, _DTYPES[name]))
    return AllReduceInputs(x.to(device), on_ranks(params), seed)


def reference(inputs: AllReduceInputs) -> Reference:
    """Return the sum in float64 of what all ranks have, and how far from it a sum in the dtype may lie.

    Whatever the order, n - 1 additions that round err by (n - 1) u sum |x| at most, with u = eps / 2, in first order
    (Higham 2002, section 4.2). The bound is twice that at the element where sum |x| is largest: in fp64 the truth has
    such an error of its own.
    """
    truth, sizes = torch.zeros(2, inputs.x.numel(), dtype=torch.float64)
    for rank in range(inputs.ranks):
        one = _drawn(inputs.seed + rank, inputs.x.numel(), inputs.x.dtype).double()
        truth += one
        sizes += one.abs()
    bound = (inputs.ranks - 1) * torch.finfo(inputs.x.dtype).eps * sizes.max().item()
    return Reference(truth.to(inputs.x.device), inputs.x.dtype, bound)


def cost(params: Params) -> Cost:
    """Count the tensor, and the part of it that crosses each rank's link."""
    ranks, size = on_ranks(params), int(params["bytes"])
    return Cost(message_bytes=size, bus_bytes=2 * (ranks - 1) / ranks * size)


def settle(params: Params) -> Params:
    """Refuse bytes that hold no whole number of elements."""
    size, name = int(params["bytes"]), str(params["dtype"])
    if size % ITEM_BYTES[name]:
        raise ValueError(f"{size} bytes hold no whole number of {name}")
    return params


def requires(tensors: float, *, at_root: float = 0.0) -> Requires:
    """Return what an implementation requires: ranks, and memory.

    Args:
        tensors: what each rank takes beside its input, in tensors of that size.
        at_root: what the first rank takes more, for each rank.
    """

    def memory(params: Params) -> int:
        return int((tensors + at_root) * on_ranks(params) * int(params["bytes"]))

    def unsupported(params: Params, device: str) -> str:
        return "one rank has nobody to add to" if on_ranks(params) == 1 else ""

    return Requires(memory=memory, world_size=on_ranks, unsupported=unsupported)


def _drawn(seed: int, elements: int, dtype: torch.dtype) -> torch.Tensor:
    """Draw from the standard normal distribution, at least in float32, and round to the dtype."""
    held = torch.promote_types(dtype, torch.float32)
    return torch.randn(elements, dtype=held, generator=torch.Generator().manual_seed(seed)).to(dtype)


workload = Workload(
    name="all_reduce",
    help="A sum over ranks that every rank has at the end: what ranks that train do with gradients.",
    axes=(
        Axis.integer("world_size", 2, "processes that add their tensors up"),
        Axis.integer("bytes", "1MiB", "size of each rank's tensor"),
        Axis.choice("dtype", tuple(ITEM_BYTES), "fp32", "dtype of the tensors and of the sum"),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="library",
    cost=cost,
    input_bytes=lambda params: int(params["bytes"]),
    settle=settle,
)
