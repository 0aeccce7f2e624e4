"""Scaling: a step of training on several processes, each with its share of the batch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import Axis, Cost, Params, Published, Workload
from implementations._training import inputs as beginnings
from implementations.scaling._method import ScalingInputs, joint_batch, on_ranks
from implementations.scaling._proof import check, examine, reference

if TYPE_CHECKING:
    import torch


def make_inputs(params: Params, device: str, generator: torch.Generator) -> ScalingInputs:
    """Draw parameters and joint batches, the same on every rank."""
    joint = {**params, "batch": joint_batch(params), "pass": "step"}
    begun = beginnings.make_inputs(joint, device, generator)
    return ScalingInputs(**vars(begun), bucket=int(params["bucket"]), ranks=on_ranks(params))


def cost(params: Params) -> Cost:
    """Count what all ranks together work on: a backward pass has twice the products of the forward pass."""
    batch = joint_batch(params)
    return Cost(flops=3 * beginnings.shape_of(params).forward_flops(batch, int(params["seq"])), items=batch)


def input_bytes(params: Params) -> int:
    """Return the size of the parameters in float32 and of the joint batches, which every rank has."""
    return beginnings.input_bytes({**params, "batch": joint_batch(params)})


def settle(params: Params) -> Params:
    """Refuse ranks without an equal share: a mean over ranks is then not the mean over the batch."""
    if on_ranks(params) < 1 or joint_batch(params) % on_ranks(params):
        raise ValueError(f"a batch of {joint_batch(params)} cannot be shared equally by {on_ranks(params)} ranks")
    return beginnings.settle(params)


workload = Workload(
    name="scaling",
    help="A step of training, divided over processes.",
    axes=(
        Axis.integer("world_size", 2, "processes that take a step together"),
        *beginnings.AXES.values(),
        Axis.choice("scale", ("weak", "strong"), "weak", "the batch is each rank's (weak) or that of all (strong)"),
        Axis.integer("bucket", 25 << 20, "bytes of gradients that are sent together"),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="single",
    cost=cost,
    input_bytes=input_bytes,
    check=check,
    examine=examine,
    settle=settle,
    published=(
        Published("38.0 % and 35.2 % less time by overlap", "ResNet-50 and BERT, 32 GPUs, NCCL", "Li et al. 2020"),
    ),
)
