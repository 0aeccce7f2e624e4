"""Ranks that are real processes over gloo: they train as one does, and faults show."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from implementations._training.shapes import Shape
from implementations.scaling import workload as scaling
from tests.implementations.ranks import RANKS, on_ranks, planted

EXACT = (
    "per_parameter_allreduce",
    "flat_allreduce",
    "ring_allreduce",
    "ddp",
    "ddp_no_overlap",
    "ddp_static_graph",
    "ddp_accumulate",
    "zero1",
    "fsdp2",
)
# Gradients are rounded, or sent as less than they are.
LOSSY = ("ddp_fp16_hook", "ddp_powersgd")
SMALL = {"batch": 2, "seq": 16, "bucket": 1 << 16}
DEFAULTS = {axis.name: axis.parse(axis.default) for axis in scaling.workload.axes} | SMALL
# What is put into an implementation's source, and what is said of it.
FAULTS = (
    # SUM for mean
    ("per_parameter_allreduce", "gradient /= ranks", "pass", "gradient_error"),
    ("ddp_no_overlap", "full /= torch.distributed.get_world_size()", "pass", "gradient_error"),
    ("ddp_accumulate", " / _PARTS", "", "gradient_error"),
    # a parameter or a bucket that is left out, ranks that keep their own, a last part that is not sent either
    ("per_parameter_allreduce", "in model.parameters():", "in list(model.parameters())[1:]:", "gradient_error"),
    ("ddp_no_overlap", "all_reduce(full)", "get_rank() if full is waiting[0][0] else 0", "gradient_error"),
    ("flat_allreduce", "torch.distributed.all_reduce)", "lambda flat: flat.mul_(3))", "gradient_error"),
    (
        "ddp_accumulate",
        "sum(losses,",
        "sum(losses, vars(model).update(require_backward_grad_sync=0) or",
        "gradient_error",
    ),
    # parts that are not sent on, and parts that are not updated
    ("zero1", "all_gather(list(whole.chunk(ranks)), ours)", "get_rank()", "loss lies"),
    ("zero1", "optimizer.step()", "optimizer.step() if torch.distributed.get_rank() else None", "loss lies"),
    (
        "per_parameter_allreduce",
        "make_optimizer(model.parameters())",
        "make_optimizer(list(model.parameters())[torch.distributed.get_rank() :])",
        "parameters differ between ranks",
    ),
)


@pytest.fixture(scope="module", autouse=True)
def shallow():
    """Fewer blocks: messages between ranks take the most time, and those of another block are the same again."""
    whole = Shape.of
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Shape, "of", lambda model, size: replace(whole(model, size), depth=6 if model == "mlp" else 1))
        yield


def draw(**changes):
    return scaling.workload.make_inputs(DEFAULTS | {"world_size": RANKS} | changes, "cpu", torch.manual_seed(0))


def build(name, old="", new=""):
    return planted("scaling", name, old, new)


def judged(make, truth, **changes):
    """Return what the check, and if that finds nothing the examination, say."""
    taken = make(draw(**changes))()
    return scaling.check(taken, truth).fault or scaling.examine(taken, truth).fault


@pytest.mark.parametrize("changes", [{}, {"model": "mlp", "scale": "strong", "batch": 6, "optimizer": "sgd"}])
def test_ranks_train_as_one_process_does_and_stay_together_bit_by_bit(tmp_path, changes):
    truth = scaling.reference(draw(**changes))
    assert judged(build("single"), truth, **changes) == ""
    # Of many small parameters, the methods that treat them otherwise than ddp does.
    methods = ("per_parameter_allreduce", "ring_allreduce", "zero1", "ddp_powersgd") if changes else EXACT + LOSSY
    found = on_ranks(tmp_path, lambda: [judged(build(name), truth, **changes) for name in methods])
    assert found == [[""] * len(methods)] * RANKS


def test_in_float64_the_gradients_of_ranks_are_those_of_one_process(tmp_path):
    whole = draw()
    double = replace(whole, parameters={name: tensor.double() for name, tensor in whole.parameters.items()})
    truth = scaling.reference(double)
    found = on_ranks(tmp_path, lambda: [scaling.check(build(name)(double)(), truth).errors for name in EXACT])
    assert all(0 < errors["gradient_error"] <= 1e-12 for ranks in found for errors in ranks)


def test_faults_of_ranks_are_rejected(tmp_path):
    truth = scaling.reference(draw())
    found = on_ranks(tmp_path, lambda: [judged(build(name, old, new), truth) for name, old, new, _ in FAULTS])
    for (name, _, new, words), faults in zip(FAULTS, zip(*found, strict=True), strict=True):
        assert all(words in fault for fault in faults), (name, new, faults)


def test_a_batch_without_equal_shares_is_no_question():
    with pytest.raises(ValueError, match="4 cannot be shared equally by 3 ranks"):
        scaling.settle(DEFAULTS | {"world_size": 3, "scale": "strong", "batch": 4})
