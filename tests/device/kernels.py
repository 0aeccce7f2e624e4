"""Where the kernels stand: rounding, attention over sizes, and the roofs; each in one process and one Triton cache."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from attention import build, flops, question, seconds

from harness.launch.worker.checking import compare_output
from implementations.attention._reference import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from report import Report

# Half a unit in the last place of TF32's ten bits, and a whole one: what rounding and what cutting may be off by.
ROUNDED, CUT = 2.0**-11, 2.0**-10
# flash_triton's speed over sdpa_flash's at 16k, by head_dim.
BARS = {64: 0.85, 128: 0.95}
TOKENS, HIDDEN = 16384, 2048
# TFLOP/s of square products on an H100 or H200, and TB/s of passes through memory by card.
PRODUCTS = {"bf16": (700, 800), "fp16": (700, 800), "tf32": (350, 450), "fp32": (50, 62), "fp64": (50, 62)}
PASSES = {"H100": (2.7, 3.1), "H200": (3.9, 4.6)}


def dtypes(report: Report) -> None:
    """Compare kernels with float64 in the dtypes that no default names, and ask how TF32 products lose bits."""
    names = report.pick(("flash_triton", "naive", "sdpa_efficient"), ("naive", "sdpa_math"))
    for dtype in report.pick(("tf32", "fp32", "fp16"), ("fp32", "fp16")):
        _, inputs = question(report.device, seq=report.pick(512, 64), dtype=dtype, causal=True)
        truth = reference(inputs)
        for name in names:
            try:
                found = compare_output(_first_tiles(name, inputs), truth)
            except Exception as error:
                report.want(False, f"{name} in {dtype}: {type(error).__name__}: {error}"[:200])
                continue
            report.keep(f"{name}, {dtype}", {"errors": found.errors, "fault": found.fault})
            report.say(f"{name} {dtype} {found.errors.get('max_abs_error', math.nan):.2g}")
            report.want(not found.fault, f"{name} in {dtype}: {found.fault}")
    for name, product in _tf32_products().items() if report.cuda else ():
        a = torch.randn(2048, 2048, device=report.device)
        off = float(((product(a) - a) / a).abs().max())
        report.keep(f"{name} by the identity", off)
        report.say(f"{name} off by 2^{math.log2(max(off, 1e-30)):.2f}")
        report.want(off <= 1.01 * ROUNDED, f"{name} {'cuts' if off <= CUT else 'loses more than the cut bits'}")


def grid_forward(report: Report) -> None:
    """Time the forward pass over the grid, the points that matter most first."""
    full = [(16384, 128, True), (16384, 128, False), (16384, 64, True), (16384, 64, False)]
    full += [(seq, dim, causal) for seq in (4096, 1024) for dim in (128, 64) for causal in (True, False)]
    for seq, dim, causal in report.pick(full, [(256, 64, True)]):
        names = report.pick(("sdpa_flash", "sdpa_cudnn", "flash_triton"), ("sdpa_flash", "naive"))
        found = _point(report, names, seq, dim, causal, "forward")
        if seq == 16384 and {"sdpa_flash", "flash_triton"} <= found.keys():
            share = found["sdpa_flash"]["cold"] / found["flash_triton"]["cold"]
            report.want(share >= BARS[dim], f"flash_triton at {share:.2f} of sdpa_flash, d {dim}, causal {causal}")
            for name, one in found.items():
                off = one["cold"] / one["do_bench"] - 1
                report.want(abs(off) < 0.03, f"{name}: cold is {100 * off:+.1f} % from do_bench")


def grid_backward(report: Report) -> None:
    """Time the backward pass at two sizes."""
    names = report.pick(("sdpa_flash", "sdpa_cudnn", "flash_triton"), ("sdpa_flash", "naive"))
    for seq in report.pick((16384, 4096), (256,)):
        _point(report, names, seq, report.pick(128, 64), True, "backward")


def roofs(report: Report) -> None:
    """Time square products in each dtype, passes through memory, and a launch."""
    n = report.pick(8192, 256)
    card = torch.cuda.get_device_name() if report.cuda else ""
    for dtype in PRODUCTS if report.cuda else ("bf16", "fp32"):
        rate = 2e-12 * n**3 / seconds(report.device, _product(report.device, n, dtype), 20)
        low, high = PRODUCTS[dtype]
        report.keep(f"{dtype} TFLOP/s", rate)
        report.say(f"{dtype} {rate:.4g} TFLOP/s")
        report.want(low <= rate <= high or not report.cuda, f"{dtype} {rate:.0f} TFLOP/s")
    x = torch.zeros(report.pick(2**32, 2**24) // 8, dtype=torch.int64, device=report.device)
    half = len(x) // 2
    passes = {"copy": lambda: x[:half].copy_(x[half:]), "read": x.sum, "write": lambda: x.fill_(1)}
    low, high = next((rates for word, rates in PASSES.items() if word in card), (0, math.inf))
    for name, step in passes.items():
        rate = 1e-12 * x.nbytes / seconds(report.device, step, 20)
        report.keep(f"{name} TB/s", rate)
        report.say(f"{name} {rate:.3g} TB/s")
        report.want(low <= rate <= high, f"{name} {rate:.2f} TB/s")
    if report.cuda:
        from clocks import read

        from harness.probes.cuda_events import CudaClock

        small = torch.ones(4096, device=report.device)
        host_s = read(CudaClock(report.device, "cold"), lambda: torch.mul(small, 1.0, out=small))["host_time"]
        report.keep("launch s", host_s)
        report.say(f"a launch {1e6 * host_s:.1f} us")
        report.want(3e-6 <= host_s <= 5e-6, f"a launch takes {1e6 * host_s:.1f} us")


def _point(report: Report, names: tuple[str, ...], seq: int, dim: int, causal: bool, passes: str) -> dict[str, Any]:
    """Time one point of the grid, and keep it before the next begins."""
    tokens, hidden = report.pick((TOKENS, HIDDEN), (256, 128))
    axes = {"seq": seq, "batch": tokens // seq, "heads": hidden // dim, "head_dim": dim, "causal": causal}
    params, inputs = question(report.device, **axes, **{"pass": passes})
    found: dict[str, Any] = {}
    for name in names:
        try:
            step, tiles = build(name, inputs)
            cold_s = seconds(report.device, step, report.pick(20, 3))
            one = {"cold": cold_s, "tflops": 1e-12 * flops(params) / cold_s, "tiles": tiles}
            if report.cuda:
                from triton.testing import do_bench

                one["do_bench"] = 1e-3 * do_bench(step, return_mode="median")
            found[name] = one
        except Exception as error:
            report.want(False, f"{name} at {seq}, d {dim}: {type(error).__name__}: {error}"[:200])
    where = f"{passes} {seq} d{dim}{' causal' if causal else ''}"
    report.keep(where, found)
    report.say(f"{where}: " + " ".join(f"{name} {one['tflops']:.4g}" for name, one in found.items()))
    return found


def _first_tiles(name: str, inputs: Any) -> Any:
    """Return an implementation's output; flash_triton's with its first tiles alone, which takes one compilation."""
    if name == "flash_triton":
        from implementations.attention import _flash

        _flash.chosen = lambda name, configs, prepare: configs[0]
    return build(name, inputs)[0]()


def _tf32_products() -> dict[str, Callable[[torch.Tensor], torch.Tensor]]:
    """Return products with the identity in TF32: the library's, and Triton's on operands as they are."""
    import hostile_kernels
    import triton

    def by_library(a: torch.Tensor) -> torch.Tensor:
        torch.set_float32_matmul_precision("high")
        try:
            return a @ torch.eye(len(a), device=a.device)
        finally:
            torch.set_float32_matmul_precision("highest")

    def by_triton(a: torch.Tensor) -> torch.Tensor:
        out = torch.empty_like(a)
        grid = (triton.cdiv(len(a), 64), triton.cdiv(len(a), 64))
        hostile_kernels.times_identity[grid](a, out, len(a), SIDE=64)
        return out

    return {"cuBLAS": by_library, "Triton": by_triton}


def _product(device: str, n: int, dtype: str) -> Callable[[], Any]:
    held = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp64": torch.float64}.get(dtype, torch.float32)
    a, b = (torch.randn(n, n, device=device, dtype=held) for _ in range(2))
    out = torch.empty_like(a)

    def in_tf32() -> None:
        torch.set_float32_matmul_precision("high")
        torch.mm(a, b, out=out)
        torch.set_float32_matmul_precision("highest")

    return in_tf32 if dtype == "tf32" else lambda: torch.mm(a, b, out=out)
