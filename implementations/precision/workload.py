"""Precision: a step of training a model in one or another arithmetic, with the proof that it still learns."""

from __future__ import annotations

from harness import Axis, Cost, Params, Published, Workload
from implementations._training.inputs import AXES, input_bytes, make_inputs, settle, shape_of
from implementations.precision._examination import examine
from implementations.precision._method import BACKWARD, FORWARD, PASSES, STEP
from implementations.precision._proof import check, reference


def cost(params: Params) -> Cost:
    """Count the operations of the model's products: a backward pass has twice those of the forward pass."""
    forward = shape_of(params).forward_flops(int(params["batch"]), int(params["seq"]))
    passes = {FORWARD: 1, BACKWARD: 3, STEP: 3}[str(params["pass"])]
    return Cost(flops=forward * passes, items=int(params["batch"]))


workload = Workload(
    name="precision",
    help="A step of training in one or another precision, and whether the model still learns.",
    axes=(
        Axis.choice("pass", PASSES, STEP, "the loss, the gradients too, or a whole step with its update", implied=True),
        *AXES.values(),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="fp32_highest",
    cost=cost,
    input_bytes=input_bytes,
    check=check,
    examine=examine,
    settle=settle,
    published=(
        Published("1.5 to 5.5 times the speed of FP32", "AMP in FP16, training on 8 V100", "PyTorch blog, 2020"),
        Published("77.01 % and 77.09 % top-1", "ResNet-50 in FP32 and AMP, 90 epochs, V100", "DeepLearningExamples"),
    ),
)
