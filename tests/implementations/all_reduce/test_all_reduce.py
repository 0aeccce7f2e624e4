"""A sum over ranks that are real processes: every way to it is right on each of them, and faults show."""

from __future__ import annotations

import pytest
import torch

from harness.launch.worker.checking import compare_output
from implementations.all_reduce import workload as all_reduce
from tests.implementations.ranks import RANKS, on_ranks, planted

NAMES = ("library", "ring", "reduce_scatter_all_gather", "gather_broadcast")
# What is put into an implementation's source: a mean for a sum, a rank that keeps half of its tensor back, a rank that
# does not hear of the sum, an element that never goes round, a second half left out, and a root that forgets itself.
FAULTS = (
    ("library", "return out", "return out.div_(inputs.ranks)"),
    ("library", "out.copy_(inputs.x)", "out.copy_(inputs.x)[out.numel() // 2 :] *= torch.distributed.get_rank() != 1"),
    ("library", "return out", "return inputs.x if torch.distributed.get_rank() == 2 else out"),
    ("ring", "ring_all_reduce(out)", "ring_all_reduce(out[: out.numel() - 1])"),
    ("reduce_scatter_all_gather", "        gather(padded, part)", ""),
    ("gather_broadcast", "torch.sum(rows, dim=0, out=out)", "torch.sum(rows[1:], dim=0, out=out)"),
)


def draw(seed=0, **changes):
    params = {"world_size": RANKS, "bytes": 4 * 1001, "dtype": "fp32"} | changes
    return all_reduce.workload.make_inputs(params, "cpu", torch.Generator().manual_seed(seed))


def fault(output, inputs):
    return compare_output(output, all_reduce.reference(inputs)).fault


def tried(name, **changes):
    """Return the faults of a step, and of the same on inputs that changed under it; and whether it left these alone."""
    inputs, other = draw(0, **changes), draw(1, **changes)
    step = planted("all_reduce", name)(inputs)
    first = fault(step(), inputs)
    inputs.x.copy_(other.x)
    return first, fault(step(), other), torch.equal(inputs.x, other.x)


@pytest.mark.parametrize(("dtype", "size"), [("fp32", 4), ("fp32", 4004), ("fp64", 8 * 3000), ("bf16", 2 * 1001)])
def test_every_rank_has_the_sum_also_of_inputs_that_changed(tmp_path, dtype, size):
    found = on_ranks(tmp_path, lambda: [tried(name, dtype=dtype, bytes=size) for name in NAMES])
    assert found == [[("", "", True)] * len(NAMES)] * RANKS


def test_each_rank_adds_something_else_and_a_process_without_ranks_knows_the_sum(tmp_path):
    drawn = on_ranks(tmp_path, lambda: draw().x)
    assert not torch.equal(drawn[0], drawn[1])
    assert torch.equal(all_reduce.reference(draw()).value, sum(one.double() for one in drawn))


@pytest.mark.parametrize(("name", "old", "new"), FAULTS)
def test_a_sum_that_lacks_something_is_rejected_on_some_rank(tmp_path, name, old, new):
    found = on_ranks(tmp_path, lambda: fault(planted("all_reduce", name, old, new)(draw())(), draw()))
    assert any("max_abs_error" in fault for fault in found)


def test_bandwidths_are_those_of_the_tensor_and_of_what_crosses_a_link():
    cost = all_reduce.workload.cost({"world_size": 4, "bytes": 1 << 20, "dtype": "fp32"})
    assert (cost.message_bytes, cost.bus_bytes) == (1 << 20, 1.5 * (1 << 20))


def test_bytes_that_hold_half_an_element_are_no_question():
    with pytest.raises(ValueError, match="6 bytes hold no whole number of fp32"):
        all_reduce.settle({"world_size": 2, "bytes": 6, "dtype": "fp32"})
