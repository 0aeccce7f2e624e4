"""Passes through memory: each reads and writes all it says, and a pass that leaves something out is rejected."""

from __future__ import annotations

import importlib

import pytest
import torch

from harness.probes.host_memory import measure_peak_allocated
from implementations.bandwidth import workload as bandwidth

NAMES = ("copy", "read", "write")


def draw(size=8192, seed=0):
    return bandwidth.workload.make_inputs({"bytes": size}, "cpu", torch.Generator().manual_seed(seed))


def marked(name):
    return getattr(importlib.import_module(f"implementations.bandwidth.{name}"), name)


def fault(output, inputs):
    return bandwidth.check(output, bandwidth.workload.reference(inputs)).fault


@pytest.mark.parametrize("size", [1, 16, 40, 8192, 1 << 22])
@pytest.mark.parametrize("name", NAMES)
def test_a_pass_is_right_also_on_inputs_that_changed_under_it(name, size):
    inputs, other = draw(size, 0), draw(size, 1)
    step = marked(name)(inputs)
    first = step()
    place = first.data_ptr()
    assert fault(first, inputs) == ""
    assert fault(first, other)
    inputs.x.copy_(other.x)
    inputs.value.copy_(other.value)
    assert fault(step(), other) == ""
    assert step().data_ptr() == place


def half_copied(x, value):
    out = torch.zeros(len(x) // 2, dtype=x.dtype)
    out[: len(x) // 4] = x[: len(x) // 4]
    return out


@pytest.mark.parametrize(
    "spoil",
    [
        half_copied,
        lambda x, value: torch.cat((x[: len(x) // 2 - 1], x[:1])),
        lambda x, value: x[len(x) // 2 :],
        lambda x, value: x[: len(x) // 4],
        lambda x, value: x[: len(x) // 2].double(),
        lambda x, value: x[1:].sum(),
        lambda x, value: x[: len(x) // 2].sum(),
        lambda x, value: x.double().sum(),
        lambda x, value: x.max(),
        lambda x, value: value.repeat(len(x)).index_fill_(0, torch.tensor([len(x) - 1]), 0),
        lambda x, value: torch.ones_like(x),
        lambda x, value: value.repeat(len(x) - 1),
    ],
    ids=[
        "half a copy",
        "all but one copied",
        "the other half",
        "a short copy",
        "a copy in another dtype",
        "all but one added",
        "half added",
        "a sum in another dtype",
        "a maximum",
        "all but one written",
        "another value",
        "a short fill",
    ],
)
def test_a_pass_that_leaves_something_out_is_rejected(spoil):
    inputs = draw()
    assert fault(spoil(inputs.x, inputs.value), inputs)


@pytest.mark.parametrize("size", [1, 17, 40, 8192])
@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_are_those_that_a_step_moves(name, size):
    inputs = draw(size)
    out = marked(name)(inputs)()
    moved = {"copy": 2 * out.nbytes, "read": inputs.x.nbytes, "write": out.nbytes}[name]
    cost = bandwidth.workload.cost({"bytes": size})
    assert (cost.flops, cost.bytes) == (0, moved)
    assert moved == max(16, size // 16 * 16)


def test_the_size_of_the_inputs_is_stated():
    inputs = draw()
    assert bandwidth.workload.input_bytes({"bytes": 8192}) == inputs.x.nbytes + inputs.value.nbytes


@pytest.mark.parametrize("name", NAMES)
def test_predicted_memory_is_what_the_allocator_hands_out(name):
    inputs = draw(8 << 20)
    allocated = measure_peak_allocated(lambda: marked(name)(inputs)())["peak_allocated"]
    memory = marked(name).__benchwright__.requires.memory
    predicted = memory({"bytes": 8 << 20}) if memory else 0
    assert abs(allocated - predicted) <= 1 << 16
