"""What the sdpa implementations share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from implementations.attention.workload import tensor_bytes

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn.attention import SDPBackend

    from harness import Params, Step
    from implementations.attention.workload import AttentionInputs


def forced(x: AttentionInputs, backend: SDPBackend) -> Step:
    """Return a step of torch's scaled_dot_product_attention that may use this backend and no other."""
    from torch.nn.attention import sdpa_kernel

    attention, scale = torch.nn.functional.scaled_dot_product_attention, x.scale

    # The backend is a process-wide flag, which set-up must not leave behind, so that each step sets it and sets it
    # back. That is 8 us of host time: hidden behind a GPU kernel, and under 1 % of a CPU step from seq 512.
    @sdpa_kernel(backend)
    def step() -> Tensor:
        return attention(x.q, x.k, x.v, is_causal=x.causal, scale=scale)

    return step


def fused_memory(params: Params) -> int:
    """The output, and one float32 log-sum-exp for each query row."""
    return tensor_bytes(params) + 4 * int(params["batch"]) * int(params["heads"]) * int(params["seq"])
