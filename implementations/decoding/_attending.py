"""A trained block with the keys and values of what it has read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812 -- as everywhere

from implementations.decoding._model import turned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from implementations.decoding._layers import Module
    from implementations.decoding._model import Llama


class Attending:
    """A block that guesses, and what it has read of each text.

    Args:
        model: whose embedding and positions it has.
        layers: trained ones.
        batch: how many texts there are.
        capacity: how many tokens a text may come to, guesses included.

    Attributes:
        layers: in the dtype and on the device of the model.
        lengths: tokens of each text that were read.
    """

    def __init__(self, model: Llama, layers: Module, batch: int, capacity: int) -> None:
        self._model, self.layers = model, layers.to(model.device, model.dtype)
        held = (batch, 2, model.config.kv_heads, capacity, model.config.head_dim)
        self._held = torch.zeros(held, dtype=model.dtype, device=model.device)
        self.lengths = [0] * batch

    def read(self, row: int, tokens: list[int], feature: Tensor) -> Tensor:
        """Pass tokens of a text through with their true features, keep them, and return the feature after the last."""
        start, count = self.lengths[row], len(tokens)
        # Of all but the last nothing but keys and values is of use, and these depend on no other token.
        seen = torch.ones(count, count, dtype=torch.bool)
        last = self(row, tokens, feature, range(start, start + count), seen)[-1:]
        self.lengths[row] += count
        return last

    def __call__(self, row: int, tokens: list[int], feature: Tensor, places: Sequence[int], seen: Tensor) -> Tensor:
        """Pass tokens with the features before them through, and return the features after them.

        Args:
            row: of the text.
            tokens: what goes in; they take the last slots of those seen.
            feature: (tokens, width).
            places: of each token in the text, or in what it may become.
            seen: (tokens, slots beyond the text's), what each sees besides the text.
        """
        config, layers, start = self._model.config, self.layers, self.lengths[row]
        new, slots = seen.shape
        embedded = F.embedding(torch.tensor(tokens, device=feature.device), self._model.embedding)
        read, residual = layers.entered(embedded, feature)
        heads = layers.qkv(read).unflatten(-1, (-1, config.head_dim))
        heads = turned(heads, *self._model.turn(torch.tensor(list(places))))
        q, pair = heads[:, : config.heads], heads[:, config.heads :].unflatten(1, (2, config.kv_heads))
        held = self._held[row, :, :, : start + slots]
        held[:, :, -new:] = pair.permute(1, 2, 0, 3)
        mask = torch.cat((torch.ones(new, start, dtype=torch.bool), seen), 1).to(feature.device)
        attended = F.scaled_dot_product_attention(
            q.transpose(0, 1)[None], held[None, 0], held[None, 1], attn_mask=mask, enable_gqa=True
        )
        return layers.left(attended[0].transpose(0, 1).flatten(1), residual)
