"""Run in a child with Triton's interpreter: the kernels' passes on small questions, against float64.

Reads jobs, ``{problem, configs, fault}``, and prints for each the largest errors of O, log-sum-exp, dQ, dK and dV over
what they may be. A fault is ``[module, old, new]``: a change of a kernel's source.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from implementations.attention._flash_problem import Config, Problem

PACKAGE = "implementations.attention"
MODULES = ("_flash_tiles", "_flash_forward", "_flash_backward")
SOURCES = Path(str(importlib.util.find_spec(PACKAGE).origin)).parent  # type: ignore[union-attr]
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# FlashAttention's rule: at most so many times the error of a plain version that rounds to the dtype, and a little.
TIMES, LITTLE = (2, 2, 3, 3, 3), 1e-5


def load(fault: list[str] | None, folder: Path) -> dict[str, Any]:
    """Import the kernels afresh, one of them changed."""
    loaded = {}
    for name in MODULES:
        source = (SOURCES / f"{name}.py").read_text()
        if fault and fault[0] == name:
            assert fault[1] in source, fault
            source = source.replace(fault[1], fault[2])
        path = folder / f"{name}.py"
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(f"{PACKAGE}.{name}", path)
        assert spec
        assert spec.loader
        sys.modules[f"{PACKAGE}.{name}"] = loaded[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded[name])
    return loaded


def plain(q: Tensor, k: Tensor, v: Tensor, grad: Tensor, p: Problem, dtype: torch.dtype) -> list[Tensor]:
    """The textbook, forward and backward, in its inputs' dtype; S, P, dP, dS and results are rounded to ``dtype``."""

    def rounded(tensor: Tensor) -> Tensor:
        return tensor.to(dtype).to(q.dtype)

    group = p.heads // p.kv_heads
    k, v = (one.repeat_interleave(group, 1) for one in (k, v))
    distance = torch.arange(p.seq_k)[None, :] - torch.arange(p.seq_q)[:, None]
    hidden = torch.zeros_like(distance, dtype=torch.bool)
    if p.low is not None:
        hidden |= distance < p.low
    if p.high is not None:
        hidden |= distance > p.high
    scale = p.head_dim**-0.5
    scores = rounded(q @ k.mT * scale).masked_fill(hidden, -torch.inf)
    lse = torch.logsumexp(scores, -1)
    seen = lse.masked_fill(lse == -torch.inf, 0)  # a row that sees no key is zero
    weights = rounded(torch.exp(scores - seen[..., None]))
    out = rounded(weights @ v)
    d_weights = rounded(grad @ v.mT)
    d_scores = rounded(weights * (d_weights - (grad * out).sum(-1, keepdim=True)))
    shared = [(d_scores.mT @ q) * scale, weights.mT @ grad]
    d_k, d_v = (one.unflatten(1, (p.kv_heads, group)).sum(2) for one in shared)
    return [out, lse, rounded(d_scores @ k * scale), rounded(d_k), rounded(d_v)]


def errors(modules: dict[str, Any], p: Problem, configs: list[Config], seed: int) -> list[float]:
    """Return the error of each result over what it may be; infinite where one is not a number, or another is."""
    source, dtype = torch.Generator().manual_seed(seed), DTYPES[p.dtype]

    def draw(heads: int, length: int, width: int) -> Tensor:
        return torch.randn(p.batch, heads, length, width, generator=source).to(dtype)

    q, grad = draw(p.heads, p.seq_q, p.head_dim), draw(p.heads, p.seq_q, p.v_dim)
    k, v = (draw(p.kv_heads, p.seq_k, width) for width in (p.head_dim, p.v_dim))
    out, d_q, d_k, d_v = (torch.full_like(one, torch.nan, dtype=torch.float32) for one in (grad, q, k, v))
    lse, delta = (torch.full(q.shape[:-1], torch.nan) for _ in range(2))
    for_forward, for_keys, for_rows = configs
    modules["_flash_forward"].forward(q, k, v, out, lse, p, for_forward)()
    backward = modules["_flash_backward"].backward
    backward(q, k, v, out.to(dtype), lse, grad, delta, d_q, d_k, d_v, p, for_keys, for_rows)()
    exact = plain(*(one.double() for one in (q, k, v, grad)), p, torch.float64)
    rough = plain(*(one.float() for one in (q, k, v, grad)), p, dtype)
    found = (out, lse, d_q, d_k, d_v)
    return [
        largest(ours, truth) / (times * largest(theirs, truth) + LITTLE)
        for ours, theirs, truth, times in zip(found, rough, exact, TIMES, strict=True)
    ]


def largest(found: Tensor, truth: Tensor) -> float:
    finite = torch.isfinite(truth)
    if not torch.equal(finite, torch.isfinite(found)):
        return float("inf")
    return (found.double() - truth)[finite].abs().max().item() if finite.any() else 0.0


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        modules = None
        for job in json.load(sys.stdin):
            if modules is None or job["fault"]:
                modules = load(job["fault"], Path(tempfile.mkdtemp(dir=folder)))
            configs = [Config(*one) for one in job["configs"]]
            print(json.dumps(errors(modules, Problem(**job["problem"]), configs, seed=0)))


if __name__ == "__main__":
    main()
