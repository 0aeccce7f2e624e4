"""Attention: every implementation against the reference, the reference against a formula, and faults that must show."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.launch.checking import compare
from harness.probes.host_memory import peak_allocated
from implementations.attention import workload as attention

ON_CPU = ("naive", "online_softmax", "sdpa_flash", "sdpa_math")
EVERYWHERE = (*ON_CPU, "flash_triton", "sdpa_cudnn", "sdpa_efficient")
DEFAULTS = {axis.name: axis.parse(axis.default) for axis in attention.workload.axes}


def point(**changes):
    return DEFAULTS | {"seq": 64, "heads": 2} | changes


def draw(params, seed=0):
    return attention.workload.make_inputs(params, "cpu", torch.Generator().manual_seed(seed))


def module(name):
    return importlib.import_module(f"implementations.attention.{name}")


def build(name, inputs):
    return getattr(module(name), name)(inputs)


def requires(name):
    return getattr(module(name), name).__benchwright__.requires


def by_formula(x, dtype=torch.float64):
    q, k, v = (tensor.to(dtype) for tensor in (x.q, x.k, x.v))
    hidden = torch.ones(q.shape[2], q.shape[2], dtype=torch.bool).triu(1) & x.causal
    return torch.softmax((q @ k.mT * q.shape[-1] ** -0.5).masked_fill(hidden, -torch.inf), -1) @ v


class Watch(TorchDispatchMode):
    """Notes the operators that run below the composite ones, and the largest tensor that any returns."""

    def __init__(self):
        super().__init__()
        self.operators, self.largest = set(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.operators.add(func.overloadpacket.__name__)
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.nbytes)
        return result


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


# Implementations


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("seq", [1, 64, 257, 300])
@pytest.mark.parametrize("name", ON_CPU)
def test_agrees_with_the_reference(name, seq, causal, dtype):
    x = draw(point(seq=seq, causal=causal, dtype=dtype))
    assert compare(build(name, x)(), attention.workload.reference(x)).fault == ""


@pytest.mark.parametrize("name", ON_CPU)
def test_agrees_in_other_shapes(name):
    x = draw(point(seq=129, batch=2, heads=3, head_dim=40, causal=True, dtype="fp32"))
    assert compare(build(name, x)(), attention.workload.reference(x)).fault == ""


@pytest.mark.parametrize(("seq", "tile"), [(130, (16, 16)), (300, (32, 64)), (1100, (256, 512))])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_online_softmax_does_not_depend_on_the_tile(monkeypatch, seq, tile, causal, dtype):
    monkeypatch.setattr(module("online_softmax"), "QUERY_BLOCK", tile[0])
    monkeypatch.setattr(module("online_softmax"), "KEY_BLOCK", tile[1])
    x = draw(point(seq=seq, heads=1, causal=causal, dtype=dtype))
    assert compare(build("online_softmax", x)(), attention.workload.reference(x)).fault == ""


@pytest.mark.parametrize("name", ON_CPU)
def test_a_step_reads_its_inputs_anew_and_leaves_them_alone(name):
    x, other = (draw(point(causal=True), seed) for seed in (0, 1))
    step = build(name, x)
    step()
    assert torch.equal(x.q, draw(point(causal=True)).q)
    for ours, theirs in ((x.q, other.q), (x.k, other.k), (x.v, other.v)):
        ours.copy_(theirs)
    assert compare(step(), attention.workload.reference(other)).fault == ""


@pytest.mark.parametrize(
    ("name", "present", "absent"),
    [
        ("sdpa_flash", "_scaled_dot_product_flash_attention_for_cpu", "bmm"),
        ("sdpa_math", "bmm", "_scaled_dot_product_flash_attention_for_cpu"),
    ],
)
def test_the_backend_is_forced(name, present, absent):
    step = build(name, draw(point()))
    with Watch() as watch:
        step()
    assert present in watch.operators
    assert absent not in watch.operators


def test_a_backend_that_cannot_run_is_not_replaced_by_another():
    with pytest.raises(RuntimeError, match="No viable backend"):
        build("sdpa_cudnn", draw(point()))()


# Faults that the check must reject


def broken(name, old, new):
    """Return an implementation whose source has one fault in it."""
    source = Path(module(name).__file__).read_text()
    assert source.count(old) == 1
    faulty = types.ModuleType(f"broken_{name}")
    exec(compile(source.replace(old, new), f"broken {name}", "exec"), faulty.__dict__)
    return getattr(faulty, name)


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
@pytest.mark.parametrize(
    ("name", "old", "new", "causal"),
    [
        pytest.param(
            "online_softmax", "sums.mul_(rescale).baddbmm_", "sums.baddbmm_", False, id="rescale of O dropped"
        ),
        pytest.param("online_softmax", "total.mul_(rescale).add_", "total.add_", False, id="rescale of l dropped"),
        pytest.param("online_softmax", ".float() * scale", ".float()", False, id="tiled without scale"),
        pytest.param("online_softmax", "triu_(ahead + 1)", "triu_(ahead + 2)", True, id="tiled mask off by one"),
        pytest.param("naive", ".mul_(scale)", "", False, id="without scale"),
        pytest.param("naive", "if x.causal else None", "if False else None", True, id="mask dropped"),
        pytest.param("naive", "masked_fill_(hidden", "masked_fill_(~hidden", True, id="mask inverted"),
        pytest.param("naive", "triu_(1)", "triu_(0)", True, id="mask one too far"),
        pytest.param("naive", "triu_(1)", "triu_(2)", True, id="mask one too short"),
    ],
)
def test_a_fault_is_rejected(name, old, new, causal, dtype):
    x = draw(point(seq=1100, heads=1, causal=causal, dtype=dtype))
    assert compare(broken(name, old, new)(x)(), attention.workload.reference(x)).fault


def test_products_of_lower_precision_are_rejected():
    low = broken("naive", "(x.q @ x.k.mT)", "(x.q.bfloat16() @ x.k.bfloat16().mT).float()")
    x = draw(point(seq=300, dtype="fp32"))
    assert "exceeds" in compare(low(x)(), attention.workload.reference(x)).fault


def test_an_output_in_another_dtype_is_rejected():
    x = draw(point(dtype="bf16"))
    assert "dtype" in compare(build("naive", x)().float(), attention.workload.reference(x)).fault


# The reference


@pytest.mark.parametrize("block_bytes", [1, 20_000, 4 << 20])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_reference_is_the_formula_in_float64(monkeypatch, dtype, causal, block_bytes):
    monkeypatch.setattr(attention, "REFERENCE_BLOCK_BYTES", block_bytes)
    x = draw(point(seq=97, batch=2, causal=causal, dtype=dtype))
    answer = attention.workload.reference(x)
    assert answer.value.dtype == torch.float64
    assert answer.dtype == x.q.dtype
    torch.testing.assert_close(answer.value, by_formula(x), rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_tolerance_is_twice_the_error_of_the_plain_version(dtype, causal):
    x = draw(point(seq=300, causal=causal, dtype=dtype))
    plain_error = (by_formula(x, x.q.dtype).double() - by_formula(x)).abs().max().item()
    # The plain version sums in another order than the formula, which matters where rounding is fine.
    assert attention.workload.reference(x).max_abs_error == pytest.approx(2 * plain_error + 1e-5, rel=0.25)


def test_reference_never_holds_the_whole_matrix(monkeypatch):
    monkeypatch.setattr(attention, "REFERENCE_BLOCK_BYTES", 1 << 16)
    x = draw(point(seq=1024))
    with Watch() as watch:
        attention.workload.reference(x)
    assert watch.largest == 2 * 1024 * 64 * 8  # the answer itself


# What is declared


@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("seq", [1, 17, 32])
def test_flops_are_those_of_each_visible_pair(seq, causal):
    multiply_and_add, products = 2, 2
    pairs = sum(1 for query in range(seq) for key in range(seq) if key <= query or not causal)
    counted = pairs * multiply_and_add * products * 40 * 3 * 2
    params = point(seq=seq, batch=3, heads=2, head_dim=40, causal=causal)
    assert attention.workload.cost(params).flops == counted


@pytest.mark.parametrize("dtype", ["fp32", "fp16", "bf16"])
def test_bytes_are_those_of_the_tensors(dtype):
    params = point(seq=33, batch=2, dtype=dtype)
    x = draw(params)
    inputs = sum(tensor.nbytes for tensor in (x.q, x.k, x.v))
    assert attention.workload.input_bytes(params) == inputs
    assert attention.workload.cost(params).bytes == inputs + build("naive", x)().nbytes


def test_a_seed_fixes_the_inputs_and_the_draws_differ():
    first, again, other = (draw(point(), seed) for seed in (0, 0, 1))
    assert torch.equal(first.q, again.q)
    assert torch.equal(first.v, again.v)
    assert not torch.equal(first.q, other.q)
    assert not torch.equal(first.q, first.k)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ON_CPU)
def test_predicted_memory_is_what_the_allocator_hands_out(name, dtype, causal):
    params = point(seq=2048, heads=4 if name in ("naive", "sdpa_math") else 8, causal=causal, dtype=dtype)
    x = draw(params)
    allocated = peak_allocated(lambda: build(name, x)())["peak_allocated"]
    scratch = 2 << 20  # of the libraries' matrix products, by processor
    packs = name == "sdpa_flash" and dtype == "bf16"  # by processor, too: only some need what is predicted
    assert allocated - scratch <= requires(name).memory(params) <= (3.5 if packs else 1.2) * allocated


@pytest.mark.parametrize(
    ("name", "changes", "device", "reason"),
    [
        ("sdpa_flash", {"dtype": "fp32"}, "cuda", "no fp32"),
        ("sdpa_flash", {"head_dim": 264}, "cuda", "at most 256"),
        ("sdpa_flash", {"dtype": "fp32", "head_dim": 264}, "cpu", ""),
        ("sdpa_flash", {"head_dim": 256}, "cuda", ""),
        ("sdpa_cudnn", {"dtype": "fp32"}, "cuda", "no fp32"),
        ("sdpa_cudnn", {"head_dim": 136}, "cuda", "multiple of 8 and at most 128"),
        ("sdpa_cudnn", {"head_dim": 60}, "cuda", "multiple of 8 and at most 128"),
        ("sdpa_cudnn", {"seq": 1}, "cuda", "length 1"),
        ("sdpa_cudnn", {"head_dim": 128}, "cuda", ""),
        ("sdpa_efficient", {"head_dim": 36, "dtype": "bf16"}, "cuda", "multiple of 8 in bf16"),
        ("sdpa_efficient", {"head_dim": 36, "dtype": "fp32"}, "cuda", ""),
        ("flash_triton", {"head_dim": 8}, "cuda", "16, 32, 64, 128 or 256"),
        ("flash_triton", {"head_dim": 96}, "cuda", "16, 32, 64, 128 or 256"),
        ("flash_triton", {"head_dim": 512}, "cuda", "16, 32, 64, 128 or 256"),
        ("flash_triton", {"head_dim": 256}, "cuda", ""),
    ],
)
def test_a_point_that_cannot_be_done_has_a_reason(name, changes, device, reason):
    found = requires(name).unsupported(point(**changes), device)
    assert (reason in found) if reason else (found == "")


def test_the_catalog_finds_all_without_loading_torch():
    script = """
import json, sys
from harness.catalog import load_catalog
catalog = load_catalog()
found = catalog.implementations["attention"].values()
memory = [one.requires.memory(json.loads(sys.argv[1])) for one in found]
broken = [line for line in catalog.broken if "attention" in line]
print(json.dumps([[one.name for one in found], [one.help for one in found], memory, broken,
    [name for name in ("torch._C", "triton._C") if name in sys.modules]]))
"""
    child = subprocess.run(
        [sys.executable, "-c", script, json.dumps(DEFAULTS)], capture_output=True, text=True, check=True
    )
    names, helps, memory, broken, loaded = json.loads(child.stdout)
    assert sorted(names) == sorted(EVERYWHERE)
    assert all(text.endswith(".") for text in helps)
    assert all(isinstance(size, int) and size > 0 for size in memory)
    assert broken == []
    assert loaded == []
