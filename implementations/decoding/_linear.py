"""Layers of products, with what follows a product fused into it where the library can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch.nn import functional as F  # noqa: N812 -- as everywhere

if TYPE_CHECKING:
    from torch import Tensor


class Linear(Protocol):
    """A layer without a bias, x to x W^T, and that with one more operation."""

    def __call__(self, x: Tensor) -> Tensor:
        """Return the product."""

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        """Return the sum of the product and another tensor."""

    def silu(self, x: Tensor) -> Tensor:
        """Return SiLU of the product."""

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        """Return the product times another tensor, element by element."""


class Plain:
    """A layer as torch has it, on any device and in any dtype."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = weight

    def __call__(self, x: Tensor) -> Tensor:
        """Return the product."""
        return F.linear(x, self._weight)

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        """Return the sum of the product and another tensor."""
        return F.linear(x, self._weight).add_(to)

    def silu(self, x: Tensor) -> Tensor:
        """Return SiLU of the product."""
        return F.silu(F.linear(x, self._weight), inplace=True)

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        """Return the product times another tensor, element by element."""
        return F.linear(x, self._weight).mul_(other)


class Packed:
    """A layer whose weight lies as oneDNN's kernels read it, and whose product has its successor fused."""

    def __init__(self, weight: Tensor) -> None:
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, 1)
        self._unary = torch.ops.mkldnn._linear_pointwise.default
        self._binary = torch.ops.mkldnn._linear_pointwise.binary

    def __call__(self, x: Tensor) -> Tensor:
        """Return the product."""
        return self._unary(x, self._weight, None, "none", [], "")

    def added(self, x: Tensor, to: Tensor) -> Tensor:
        """Return the sum of the product and another tensor."""
        return self._binary(x, to, self._weight, None, "add")

    def silu(self, x: Tensor) -> Tensor:
        """Return SiLU of the product."""
        return self._unary(x, self._weight, None, "swish", [], "")

    def times(self, x: Tensor, other: Tensor) -> Tensor:
        """Return the product times another tensor, element by element."""
        return self._binary(x, other, self._weight, None, "mul")


def linear(weight: Tensor) -> Linear:
    """Return a layer in the form that is fastest for few rows.

    A packed weight takes half the time in bfloat16 on a processor. In float32 it takes longer than a plain one, from 1
    row to 4.
    """
    packs = weight.device.type == "cpu" and weight.dtype == torch.bfloat16 and torch.backends.mkldnn.is_available()
    return Packed(weight) if packs and torch.ops.mkldnn._is_mkldnn_bf16_supported() else Plain(weight)
