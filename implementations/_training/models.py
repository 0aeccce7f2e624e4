"""The models themselves: each maps a batch and its labels to the mean cross-entropy, taken in at least float32."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 -- as everywhere

from implementations._training.shapes import BYTES, CLASSES, Shape

if TYPE_CHECKING:
    from torch import Tensor


def make_model(shape: Shape, seq: int) -> nn.Module:
    """Return the model on no device; :func:`draw_parameters` has what it starts from."""
    with torch.device("meta"):
        return Gpt(shape, seq) if shape.model == "gpt" else Resnet(shape) if shape.model == "resnet" else Mlp(shape)


def draw_parameters(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw a model's parameters in float32: matrices from N(0, 1 / inputs), ones for norms, and zeros for biases."""

    def drawn(name: str, like: Tensor) -> Tensor:
        if like.dim() < 2:
            return torch.ones(like.shape) if name.endswith("weight") else torch.zeros(like.shape)
        return torch.randn(like.shape, generator=generator) * like[0].numel() ** -0.5

    return {name: drawn(name, like) for name, like in model.named_parameters()}


class Gpt(nn.Module):
    """A decoder of pre-norm blocks over bytes, after Radford et al. 2019: learned positions, GELU, no dropout."""

    def __init__(self, shape: Shape, seq: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(BYTES, shape.width), nn.Embedding(seq, shape.width)
        self.blocks = nn.ModuleList(GptBlock(shape.width, shape.heads) for _ in range(shape.depth))
        self.norm, self.head = nn.LayerNorm(shape.width), nn.Linear(shape.width, BYTES, bias=False)

    def forward(self, tokens: Tensor, following: Tensor) -> Tensor:
        """Return the loss of the byte that follows each; both (batch, seq)."""
        x = self.token(tokens) + self.position.weight
        for block in self.blocks:
            x = block(x)
        return cross_entropy(self.head(self.norm(x)).flatten(0, 1), following.flatten())


class GptBlock(nn.Module):
    """Attention, then two layers four times as wide, each added to what it was given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_in, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.merge = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.widen, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm_in(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.merge(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(F.gelu(self.widen(self.norm_out(x))))


class Resnet(nn.Module):
    """Three stages of residual blocks, each half as fine and twice as wide (He et al. 2016, section 4.2).

    GroupNorm in place of BatchNorm, whose statistics are those of one process's share of a batch.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = [shape.width << stage for stage in range(3) for _ in range(shape.depth)]
        self.stem = nn.Conv2d(3, shape.width, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(ResnetBlock(*ends) for ends in pairwise([shape.width, *widths]))
        self.head = nn.Linear(widths[-1], CLASSES)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss over images (batch, 3, 32, 32) and labels (batch)."""
        x = self.stem(images.to(self.stem.weight.dtype))
        for block in self.blocks:
            x = block(x)
        return cross_entropy(self.head(x.mean((2, 3))), labels)


class ResnetBlock(nn.Module):
    """Two convolutions, added to what they were given; the first halves the image where the width grows."""

    def __init__(self, width: int, wider: int) -> None:
        super().__init__()
        stride = wider // width
        self.first = nn.Conv2d(width, wider, 3, stride, padding=1, bias=False)
        self.second = nn.Conv2d(wider, wider, 3, padding=1, bias=False)
        self.norm_first, self.norm_second = nn.GroupNorm(8, wider), nn.GroupNorm(8, wider)
        self.skip = nn.Conv2d(width, wider, 1, stride, bias=False) if wider != width else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        ours = F.relu(self.norm_first(self.first(x)))
        return F.relu(self.norm_second(self.second(ours)) + self.skip(x))


class Mlp(nn.Module):
    """Many residual blocks of two small layers: hundreds of parameters of a few kilobytes each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(shape.width, shape.width), nn.GELU(), nn.Linear(shape.width, shape.width))
            for _ in range(shape.depth)
        )
        self.head = nn.Linear(shape.width, CLASSES)
        self.share = shape.depth**-0.5

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Return the loss over vectors (batch, width) and labels (batch)."""
        x = x.to(self.head.weight.dtype)
        for block in self.blocks:
            x = x + self.share * block(x)
        return cross_entropy(self.head(x), labels)


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean cross-entropy of rows of logits, in float32 where they are in less."""
    return F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), labels)
