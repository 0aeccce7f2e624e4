"""Questions of attention in small, what answers them, and the formula that the reference is held against."""

from __future__ import annotations

import importlib
from collections import Counter
from functools import cache

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.launch.worker.checking import compare_output
from implementations.attention import workload as attention
from implementations.attention._mask import Mask

TILED = ("online_softmax", "online_softmax_lazy", "split_kv", "recompute_backward")
ON_CPU = ("naive", *TILED, "sdpa_flash", "sdpa_math")
WITH_GRADIENTS = ("naive", "recompute_backward", "sdpa_flash", "sdpa_math")
ELSEWHERE = ("flash_attn", "flash_attn_3", "flash_attn_4", "flash_triton", "sdpa_cudnn", "sdpa_efficient")
EVERYWHERE = (*ON_CPU, *ELSEWHERE, "flex_attention", "naive_compiled")
DEFAULTS = {axis.name: axis.parse(axis.default) for axis in attention.workload.axes}
# Queries, keys, causal, offset, window: squares, both alignments, more queries than keys, and windows that leave rows
# without a key on either side.
MASKS = [
    Mask(5, 5),
    Mask(5, 5, True),
    Mask(3, 7, True, 0),
    Mask(3, 7, True, 4),
    Mask(7, 3, True, 0),
    Mask(7, 3, True, -4),
    Mask(1, 9, True, 8),
    Mask(6, 6, True, 0, 2),
    Mask(6, 6, False, 0, 3),
    Mask(9, 3, True, 0, 2),
    Mask(9, 3, False, -6, 2),
    Mask(3, 9, False, 6, 1),
]


def point(**changes):
    """Return a point of few elements; ``passes`` stands for the axis whose name is a keyword."""
    renamed = {"pass" if name == "passes" else name: value for name, value in changes.items()}
    return dict(attention.workload.settle(DEFAULTS | {"seq": 64, "heads": 2} | renamed))


def draw(params, seed=0):
    return attention.workload.make_inputs(params, "cpu", torch.Generator().manual_seed(seed))


def module(name):
    return importlib.import_module(f"implementations.attention.{name}")


def build(name, inputs):
    return getattr(module(name), name)(inputs)


def mark(name):
    return getattr(module(name), name).__benchwright__


def requires(name):
    return mark(name).requires


def seen(mask):
    """Write a mask as a matrix, from its definition."""
    own = torch.arange(mask.queries).unsqueeze(1) + mask.offset
    keys = torch.arange(mask.keys)
    near = (keys - own).abs() < mask.window if mask.window else torch.ones(mask.queries, mask.keys, dtype=torch.bool)
    return near & (keys <= own) if mask.causal else near


def by_formula(x, dtype=torch.float64):
    """Return O, L and, where a gradient of O is given, the gradients of Q, K and V, from whole matrices by autograd."""
    q, k, v = leaves = [tensor.to(dtype).requires_grad_() for tensor in (x.q, x.k, x.v)]
    k, v = (tensor.repeat_interleave(q.shape[1] // tensor.shape[1], 1) for tensor in (k, v))
    visible = seen(x.mask)
    scores = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~visible, -torch.inf)
    weights = torch.softmax(scores.masked_fill(~visible.any(1, keepdim=True), 0.0), -1)
    out = weights.masked_fill(~visible.any(1, keepdim=True), 0.0) @ v
    gradients = () if x.grad is None else torch.autograd.grad(out, leaves, x.grad.to(dtype))
    return out.detach(), scores.logsumexp(-1).detach(), *gradients


def truth(params, seed=0):
    """Return the reference at a point, which is worked out once for all that is compared with it."""
    return _truth(tuple(params.items()), seed)


@cache
def _truth(params, seed):
    return attention.workload.reference(draw(dict(params), seed))


def fault(name_or_build, params):
    """Return what the check finds in an implementation, or in what is built as one, at a point."""
    make = name_or_build if callable(name_or_build) else getattr(module(name_or_build), name_or_build)
    return compare_output(make(draw(params))(), truth(params)).fault


class Watch(TorchDispatchMode):
    """Notes the operators that run below the composite ones, and the largest tensor that any returns."""

    def __init__(self):
        super().__init__()
        self.calls, self.largest = Counter(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.calls[func.overloadpacket.__name__] += 1
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.nbytes)
        return result
