"""A model of the Llama family, written for few tokens at a time: few calls for each layer, and a cache beside it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812 -- as everywhere

from implementations.decoding._linear import linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from implementations.decoding._cache import Cache
    from implementations.decoding._config import Config


class Block:
    """Attention and an MLP, each added to what it was given."""

    def __init__(self, weights: Mapping[str, Tensor], config: Config) -> None:
        self._config = config
        self._norm_in, self._norm_out = weights["input_layernorm"], weights["post_attention_layernorm"]
        self._qkv = linear(torch.cat([weights[f"self_attn.{name}_proj"] for name in "qkv"]))
        self._merge = linear(weights["self_attn.o_proj"])
        self._gate, self._up, self._down = (linear(weights[f"mlp.{name}_proj"]) for name in ("gate", "up", "down"))

    def __call__(self, x: Tensor, turn: tuple[Tensor, Tensor], cache: Cache, layer: int) -> Tensor:
        """Pass tokens (batch, k, width) through, and put their keys and values into the cache."""
        config = self._config
        heads = self._qkv(rms_norm(x, self._norm_in, config.eps)).unflatten(-1, (-1, config.head_dim))
        placed = turned(heads, *turn)
        keys, values = cache.put(layer, placed[:, :, config.heads :])
        x = self._merge.added(self._attend(placed[:, :, : config.heads], keys, values, cache.mask), x)
        inner = rms_norm(x, self._norm_out, config.eps)
        return self._down.added(self._up.times(inner, self._gate.silu(inner)), x)

    def _attend(self, q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """Attend with the queries that share keys as rows of one product, so that no key is copied."""
        batch, k, heads, _ = q.shape
        rows = q.view(batch, k, keys.shape[1], heads // keys.shape[1], -1).transpose(1, 2).flatten(2, 3)
        seen = F.scaled_dot_product_attention(rows, keys, values, attn_mask=mask)
        return seen.unflatten(2, (k, -1)).transpose(1, 2).reshape(batch, k, -1)


class Llama:
    """The layers of a model that are wanted, in one dtype on one device.

    Args:
        config: the shape of the whole model.
        weights: by the names of transformers' checkpoints.
        dtype: of weights and activations.
        device: where it computes.
        layers: those to be carried out, in order; all by default.
    """

    def __init__(
        self,
        config: Config,
        weights: Mapping[str, Tensor],
        dtype: torch.dtype,
        device: str | torch.device = "cpu",
        layers: Sequence[int] | None = None,
    ) -> None:
        self.config, self.dtype, self.device = config, dtype, torch.device(device)
        self.layers = range(config.layers) if layers is None else layers
        outer = ("model.embed_tokens.weight", "model.norm.weight")
        self.embedding, self.norm = (weights[name].to(self.device, dtype) for name in outer)
        self.unembedding = self.embedding if config.tied else weights["lm_head.weight"].to(self.device, dtype)
        self.head = linear(self.unembedding)
        self.blocks = [Block(self._weights_of(layer, weights), config) for layer in self.layers]
        kinds = [0] * (config.heads + config.kv_heads) + [1] * config.kv_heads  # queries and keys turn, values do not
        self._kinds = torch.tensor(kinds, device=self.device)
        self._turns = [table.to(self.device, dtype) for table in rotations(config)]

    def __call__(self, tokens: Tensor, positions: Tensor, cache: Cache, hidden: Sequence[int] = ()) -> list[Tensor]:
        """Pass tokens (batch, k) through, and return what the head reads, and then the hidden states that are wanted.

        Args:
            tokens: what goes in.
            positions: of each, of the same shape.
            cache: prepared for where they go and what they see.
            hidden: 0 is the embeddings, i what the i-th layer returns, and of the last layer that after the last norm.
        """
        x = F.embedding(tokens, self.embedding)
        turn = self.turn(positions)
        states = {0: x} if 0 in hidden else {}
        for index, block in enumerate(self.blocks):
            x = block(x, turn, cache, index)
            if index + 1 in hidden:
                states[index + 1] = x
        states[len(self.blocks)] = x = rms_norm(x, self.norm, self.config.eps)
        return [x, *(states[index] for index in hidden)]

    def turn(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return the factors by which :func:`turned` turns the queries, keys and values at some positions."""
        return self._turns[0][positions][..., self._kinds, :], self._turns[1][positions][..., self._kinds, :]

    def skipping(self, kept: Sequence[int]) -> Llama:
        """Return the model of some of the layers, which shares all of its weights with this one."""
        other = object.__new__(Llama)
        vars(other).update(vars(self) | {"layers": list(kept), "blocks": [self.blocks[layer] for layer in kept]})
        return other

    def _weights_of(self, layer: int, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        prefix = f"model.layers.{layer}."
        own = {name[len(prefix) : -len(".weight")]: weights[name] for name in weights if name.startswith(prefix)}
        return {name: tensor.to(self.device, self.dtype) for name, tensor in own.items()}


def rms_norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    """Divide by the root of the mean square (Zhang and Sennrich 2019), which is taken in at least float32."""
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


def rotations(config: Config) -> tuple[Tensor, Tensor]:
    """Return the factors of a head and of the head with its halves exchanged, (positions, turned or not, head_dim).

    A feature and that half a head on are turned together (Su et al. 2021, section 3.2.2, in the order of GPT-NeoX).
    Values are not turned: their factors are one and zero, so that a layer's heads are treated in one call.
    """
    frequencies = _stretched(config.theta ** -(torch.arange(0, config.head_dim, 2).double() / config.head_dim), config)
    angles = torch.outer(torch.arange(config.context).double(), frequencies)
    still = torch.ones(config.context, config.head_dim, dtype=torch.float64)
    cosine = torch.stack((torch.cat((angles.cos(), angles.cos()), -1), still), 1)
    sine = torch.stack((torch.cat((-angles.sin(), angles.sin()), -1), still * 0), 1)
    return cosine.float(), sine.float()


def turned(x: Tensor, own: Tensor, exchanged: Tensor) -> Tensor:
    """Return heads with their features turned, given the factors of each head and of it with its halves exchanged."""
    low, high = x.chunk(2, -1)
    return torch.addcmul(x * own, torch.cat((high, low), -1), exchanged)


def _stretched(frequencies: Tensor, config: Config) -> Tensor:
    """Stretch low frequencies as Llama 3.1 does for long contexts (as its reference code's ``apply_scaling``)."""
    scaling = config.scaling
    if not scaling:
        return frequencies
    turns = scaling["original_max_position_embeddings"] * frequencies / (2 * math.pi)
    low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
    share = ((turns - low) / (high - low)).clamp(0, 1)
    return frequencies * (share + (1 - share) / scaling["factor"])
