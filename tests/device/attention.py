"""Attention in one process: questions drawn on the device, which takes no time of the lease, and their steps."""

from __future__ import annotations

import contextlib
import importlib
import io
import statistics
from typing import TYPE_CHECKING, Any

import torch

from harness.probes.cuda_events import CudaClock
from harness.probes.wallclock import WallClock
from implementations.attention.workload import FORWARD, AttentionInputs, Sizes, cost, workload

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Params


def question(device: str, **axes: Any) -> tuple[Params, AttentionInputs]:
    """Return the values of the axes, at their defaults unless given, and inputs from N(0, 1)."""
    params = {axis.name: axis.parse(axis.default) for axis in workload.axes} | axes
    sizes, name = Sizes.of(params), str(params["dtype"])
    dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(name, torch.float32)

    def draw(heads: int, length: int, features: int) -> torch.Tensor:
        return torch.randn(sizes.batch, heads, length, features, device=device).to(dtype)

    q = draw(sizes.heads, sizes.queries, sizes.head_dim)
    k, v = (draw(sizes.kv_heads, sizes.keys, features) for features in (sizes.head_dim, sizes.v_dim))
    grad = None if sizes.passes == FORWARD else draw(sizes.heads, sizes.queries, sizes.v_dim)
    return params, AttentionInputs(q, k, v, sizes.mask, sizes.passes, name, grad)


def build(name: str, inputs: AttentionInputs) -> tuple[Callable[[], Any], str]:
    """Return an implementation's step, and what its set-up printed: the tiles that it chose."""
    module = importlib.import_module(f"implementations.attention.{name}")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        step = getattr(module, name)(inputs)
    return step, printed.getvalue().strip()


def seconds(device: str, step: Callable[[], Any], samples: int) -> float:
    """Return the median time of a step: cold on CUDA, and by the wall clock on a processor."""
    clock = WallClock() if device == "cpu" else CudaClock(device, "cold")
    for _ in range(2):
        clock.sample(step, 1)
    return statistics.median(clock.sample(step, 1)[0]["time"] for _ in range(samples))


def flops(params: Params) -> float:
    """Return the operations that the workload counts."""
    return float(cost(params).flops)
