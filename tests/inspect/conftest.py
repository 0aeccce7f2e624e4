"""A workload whose kernels are small and real, in a file of the user's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

PLUG_IN = '''
from __future__ import annotations
import os
import torch
import triton
import triton.language as tl
from harness import Axis, Kernel, Reference, Requires, Workload, implementation

axes = (Axis.integer("n", 4096, "Elements."), Axis.choice("dtype", ("fp16", "fp32"), "fp16", "Dtype."))
work = Workload("work", "Copy.", axes, lambda p, d, g: torch.ones(p["n"]), Reference, "copies")


@triton.jit
def copy(x_ptr, out_ptr, n, scale, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out_ptr + at, tl.load(x_ptr + at, mask=at < n) * scale, mask=at < n)


@triton.jit
def normalise(x_ptr, out_ptr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + at, x / tl.sum(x))


@triton.jit
def product(x_ptr, out_ptr, SIZE: tl.constexpr):
    at = tl.arange(0, SIZE)[:, None] * SIZE + tl.arange(0, SIZE)[None, :]
    x = tl.load(x_ptr + at)
    tl.store(out_ptr + at, tl.dot(x, x))


class Fatal:
    __name__ = "fatal"

    @property
    def params(self):
        os.abort()


def kernels(p):
    tensors = dict.fromkeys(("x_ptr", "out_ptr"), "*" + p["dtype"])
    wide = dict.fromkeys(tensors, "*fp32")
    copied = {**tensors, "n": p["n"], "scale": 0.5}
    return [{kernels}] if p["n"] > 1 else []


def unsupported(p, device):
    return "too many" if p["n"] > 1 << 20 else ""


@implementation("work", kernels=kernels, requires=Requires(unsupported=unsupported))
def copies(x):
    """Copy."""
    return lambda: x.clone()


@implementation("work")
def declares_nothing(x):
    """Copy."""
    return lambda: x.clone()
'''
KERNELS = {
    "copy": 'Kernel(copy, {**copied, "BLOCK": 1024}, label="1024")',
    "spills": 'Kernel(normalise, {**wide, "SIZE": 4096}, {"num_warps": 1, "maxnreg": 32, "waves_per_eu": 8})',
    "product": 'Kernel(product, {**tensors, "SIZE": 64}, {"num_warps": 4, "num_stages": 2})',
    "broken": 'Kernel(copy, {**copied, "BLOCK": 1000}, label="1000")',
    "fatal": "Kernel(Fatal(), {})",
}


@pytest.fixture(scope="session")
def plug_in() -> Callable[..., str]:
    """Return a function that writes the workload with some of the kernels, and returns the file."""

    def write(folder: Path, *names: str, **changed: str) -> str:
        declared = ", ".join({**KERNELS, **changed}[name] for name in (*names, *changed))
        path = folder / "mine.py"
        path.write_text(PLUG_IN.replace("{kernels}", declared))
        return str(path)

    return write
