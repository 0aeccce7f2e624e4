"""A model with its cache: what is prefilled, verified, kept and taken back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from implementations.decoding._cache import Cache

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from implementations.decoding._model import Llama
    from implementations.decoding._tree import Tree


@dataclass(frozen=True)
class Passed:
    """What a pass returns.

    Attributes:
        logits: (batch, k, vocabulary), or of a prefill (batch, 1, vocabulary), of each row's last token.
        hidden: of each layer that was asked for, (batch, k, width).
    """

    logits: Tensor
    hidden: list[Tensor]


class Engine:
    """A model and the cache of a batch of texts.

    Args:
        model: what it passes tokens through.
        batch: how many texts there are.
        capacity: how many tokens the longest may come to, with all nodes of a pass.
    """

    def __init__(self, model: Llama, batch: int, capacity: int) -> None:
        self.model, self.cache = model, Cache(model, batch, capacity)

    def prefill(self, texts: Sequence[Sequence[int]], hidden: Sequence[int] = ()) -> Passed:
        """Forget everything, and pass texts through, of which the shorter are padded at their ends."""
        self.cache.lengths = [0] * len(texts)
        width = max(len(text) for text in texts)
        self.cache.prepare(torch.ones(width, width, dtype=torch.bool).tril().expand(len(texts), -1, -1))
        padded = [[*text, *[0] * (width - len(text))] for text in texts]
        x, states = self._pass(padded, [range(width)] * len(texts), hidden)
        for row, text in enumerate(texts):
            self.cache.keep(row, range(len(text)))
        last = torch.tensor([len(text) - 1 for text in texts], device=x.device)
        return Passed(self.model.head(x[torch.arange(len(texts)), last][:, None]), states)

    def verify(self, trees: Sequence[Tree], hidden: Sequence[int] = ()) -> Passed:
        """Pass a tree through for each row, each node seeing what is committed, its ancestors and itself.

        A node's position is the row's length plus its depth. Nothing is committed until :meth:`keep`.
        """
        size = max(len(tree.tokens) for tree in trees)
        self.cache.prepare(torch.stack([tree.ancestors(size) for tree in trees]))
        padding = [[0] * (size - len(tree.tokens)) for tree in trees]
        tokens = [[*tree.tokens, *rest] for tree, rest in zip(trees, padding, strict=True)]
        depths = [[*tree.depths, *rest] for tree, rest in zip(trees, padding, strict=True)]
        positions = [[n + depth for depth in row] for n, row in zip(self.cache.lengths, depths, strict=True)]
        x, states = self._pass(tokens, positions, hidden)
        return Passed(self.model.head(x), states)

    def keep(self, paths: Sequence[Sequence[int]]) -> None:
        """Commit a path of the last pass's nodes for each row, by index; an empty one takes the pass back."""
        for row, path in enumerate(paths):
            self.cache.keep(row, path)

    def _pass(
        self, tokens: Sequence[Sequence[int]], positions: Sequence[Sequence[int]], hidden: Sequence[int]
    ) -> tuple[Tensor, list[Tensor]]:
        device = self.model.device
        placed = torch.tensor(tokens, device=device), torch.tensor([list(row) for row in positions], device=device)
        with torch.inference_mode():
            x, *states = self.model(*placed, self.cache, hidden)
        return x, states
