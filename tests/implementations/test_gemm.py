"""Matrix products: right ones pass, wrong and less precise ones are rejected, and settings are put back."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from harness.launch.worker.checking import compare_output
from harness.probes.executed import read_settings
from harness.probes.host_memory import measure_peak_allocated
from implementations.gemm import workload as gemm
from implementations.gemm.matmul import matmul

ON_CPU = ("fp64", "fp32", "fp16", "bf16")


def draw(n=96, dtype="fp32", seed=0):
    return gemm.workload.make_inputs({"n": n, "dtype": dtype}, "cpu", torch.Generator().manual_seed(seed))


@cache
def reference(n=96, dtype="fp32", seed=0):
    """Return the reference of what is drawn, which is worked out once for all that is compared with it."""
    return gemm.workload.reference(draw(n, dtype, seed))


def fault(output, *drawn, **changes):
    return compare_output(output, reference(*drawn, **changes)).fault


def truncated(matrix):
    """Drop the bits of float32 that TF32 does not have."""
    return (matrix.view(torch.int32) & ~0x1FFF).view(torch.float32)


def rounded(matrix):
    """Round float32 to the nearest TF32."""
    return ((matrix.view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


@pytest.fixture
def ampere(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))


@pytest.mark.parametrize("n", [1, 17, 256, 700])
@pytest.mark.parametrize("dtype", ON_CPU)
def test_a_product_is_right(n, dtype):
    assert fault(matmul(draw(n, dtype))(), n, dtype) == ""


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_a_product_is_right_at_the_size_of_the_suite(dtype):
    assert fault(matmul(draw(2048, dtype))(), 2048, dtype) == ""


def test_sums_one_after_the_other_are_right():
    inputs = draw(1024)
    out = torch.zeros_like(inputs.a)
    for k in range(1024):
        out += inputs.a[:, k : k + 1] * inputs.b[k]
    assert fault(out, 1024, "fp32") == ""


def test_the_worst_row_of_fused_sums_one_after_the_other_is_right():
    inputs, row, sums = draw(2048), 72, torch.zeros(2048)
    for k in range(2048):
        sums = torch.addcmul(sums.double(), inputs.a[row, k].double(), inputs.b[k].double()).float()
    out = reference(2048, "fp32").value.float()
    out[row] = sums
    assert fault(out, 2048, "fp32") == ""


def test_a_step_reads_its_inputs_anew_into_the_same_memory():
    inputs, other = draw(seed=0), draw(seed=1)
    step = matmul(inputs)
    first = step().data_ptr()
    inputs.a.copy_(other.a)
    inputs.b.copy_(other.b)
    assert fault(step(), seed=1) == ""
    assert step().data_ptr() == first


@pytest.mark.parametrize("n", [96, 1024])
@pytest.mark.parametrize("dtype", ["fp64", "fp32", "tf32", "bf16"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda a, b: a[:, :-1] @ b[:-1],
        lambda a, b: a @ b.T,
        lambda a, b: torch.cat(((a @ b)[:-1], torch.zeros_like(a[:1]))),
        lambda a, b: torch.cat(((a @ b)[:-1], (a @ b)[:1])),
        lambda a, b: (a @ b).index_fill_(1, torch.tensor([5]), torch.nan),
        lambda a, b: (a @ b) * 1.1,
    ],
    ids=["a term left out", "transposed", "a row dropped", "a row twice", "a column of NaN", "scaled"],
)
def test_a_product_that_is_wrong_is_rejected(spoil, dtype, n):
    inputs = draw(n, dtype)
    assert fault(spoil(inputs.a, inputs.b), n, dtype)


@pytest.mark.parametrize(
    ("dtype", "lower"),
    [
        ("fp64", lambda a: a.float().double()),
        ("fp32", rounded),
        ("fp32", lambda a: a.half().float()),
        ("tf32", lambda a: a.to(torch.float8_e4m3fn).float()),
        ("bf16", lambda a: a.to(torch.float8_e4m3fn).bfloat16()),
        ("fp16", lambda a: a.to(torch.float8_e4m3fn).half()),
    ],
    ids=["fp32 for fp64", "tf32 for fp32", "fp16 for fp32", "fp8 for tf32", "fp8 for bf16", "fp8 for fp16"],
)
def test_inputs_of_a_lower_precision_are_rejected(dtype, lower):
    inputs = draw(512, dtype)
    exact = (lower(inputs.a).double() @ lower(inputs.b).double()).to(inputs.a.dtype)
    assert "exceeds" in fault(exact, 512, dtype)


@pytest.mark.parametrize("to_tf32", [truncated, rounded])
@pytest.mark.parametrize("n", [16, 256, 2048])
def test_what_a_tensor_core_makes_of_tf32_is_right(n, to_tf32):
    inputs = draw(n, "tf32")
    assert fault(to_tf32(inputs.a) @ to_tf32(inputs.b), n, "tf32") == ""


def test_an_output_in_another_dtype_is_rejected():
    assert "dtype" in fault(matmul(draw(dtype="bf16"))().float(), dtype="bf16")


@pytest.mark.parametrize(("dtype", "wanted"), [("fp32", "highest"), ("tf32", "high")])
def test_the_precision_is_that_of_the_dtype_during_a_step_and_what_it_was_after(monkeypatch, ampere, dtype, wanted):
    seen, product = [], torch.matmul

    def watched(*args, **kwargs):
        seen.append(torch.get_float32_matmul_precision())
        return product(*args, **kwargs)

    monkeypatch.setattr(torch, "matmul", watched)
    torch.set_float32_matmul_precision("medium")
    try:
        before = read_settings()
        matmul(draw(dtype=dtype))()
        assert read_settings() == before
    finally:
        torch.set_float32_matmul_precision("highest")
    assert seen == [wanted]


def test_the_precision_is_put_back_after_an_error(monkeypatch):
    step, before = matmul(draw()), read_settings()
    torch.set_float32_matmul_precision("medium")
    try:
        monkeypatch.setattr(torch, "matmul", lambda *args, **kwargs: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            step()
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision("highest")
    assert read_settings() == before


def test_tf32_has_a_reason_where_it_cannot_be_done():
    unsupported = matmul.__benchwright__.requires.unsupported
    assert "CUDA" in unsupported({"n": 8, "dtype": "tf32"}, "cpu")
    assert unsupported({"n": 8, "dtype": "tf32"}, "cuda") == ""
    assert unsupported({"n": 8, "dtype": "fp32"}, "cpu") == ""


def test_a_gpu_without_tf32_refuses_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    with pytest.raises(RuntimeError, match="capability 8"):
        matmul(draw(dtype="tf32"))


@pytest.mark.parametrize(("dtype", "size"), [("fp64", 8), ("fp32", 4), ("tf32", 4), ("fp16", 2), ("bf16", 2)])
def test_the_work_is_what_is_counted(dtype, size):
    params = {"n": 10, "dtype": dtype}
    cost, inputs = gemm.workload.cost(params), draw(10, dtype)
    assert (cost.flops, cost.bytes) == (2 * 10**3, 3 * 100 * size)
    assert gemm.workload.input_bytes(params) == inputs.a.nbytes + inputs.b.nbytes


def test_a_seed_fixes_the_inputs_and_the_draws_differ():
    first, again, other = (draw(seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first.a, again.a)
    assert not torch.equal(first.a, other.a)
    assert not torch.equal(first.a, first.b)


@pytest.mark.parametrize("dtype", ["fp64", "fp32", "bf16"])
def test_predicted_memory_is_what_the_allocator_hands_out(dtype):
    inputs = draw(1024, dtype)
    allocated = measure_peak_allocated(lambda: matmul(inputs)())["peak_allocated"]
    predicted = matmul.__benchwright__.requires.memory({"n": 1024, "dtype": dtype})
    scratch = 2 << 20  # of the libraries, by processor
    assert allocated - scratch <= predicted <= allocated
