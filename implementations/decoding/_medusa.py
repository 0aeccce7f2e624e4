"""Guesses of several tokens at once from one hidden state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from implementations.decoding._heads import chosen_tree
from implementations.decoding._linear import linear
from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from implementations.decoding._decode import Texts
    from implementations.decoding._engine import Passed
    from implementations.decoding._heads import Heads
    from implementations.decoding._model import Llama


class MedusaDrafter:
    """Guesses by Medusa's heads, in a tree that is the same each time (Cai et al. 2024).

    Args:
        model: whose states are read, and whose output layer is used.
        heads: trained ones.
        nodes: of the tree; the places are those where guesses were most often right.
        chain: whether the tree is a chain of the likeliest guesses.
    """

    def __init__(self, model: Llama, heads: Heads, nodes: int, *, chain: bool = False) -> None:
        self.hidden: Sequence[int] = (len(model.blocks),)
        self._heads = heads.module.to(model.device, model.dtype)
        self._output, self._vocabulary = linear(model.unembedding[heads.vocabulary]), heads.vocabulary
        rates = heads.rates[:, :1] if chain else heads.rates
        self._places = chosen_tree(rates.tolist(), nodes)
        self._ranks = 1 + max(rank for path in self._places for rank in path)
        self._states: list[Tensor] = []

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Keep the state of each prompt's last token."""
        self._states = [passed.hidden[0][row, len(text) - 2] for row, text in enumerate(texts)]

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Guess for all texts in one pass through the heads."""
        with torch.inference_mode():
            states = torch.stack(self._states)
            later = self._heads(states).transpose(0, 1)
            guesses = self._vocabulary[self._output(later).topk(self._ranks).indices].tolist()
        return [self._tree(text[-1], row, left) for text, row, left in zip(texts, guesses, room, strict=True)]

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Keep the state of the last node that was kept."""
        for row, path in enumerate(paths):
            if path:
                self._states[row] = passed.hidden[0][row, path[-1]]

    def _tree(self, root: int, guesses: list[list[int]], room: int) -> Tree:
        tree, nodes = Tree.chain(root), {(): 0}
        for path in self._places:
            if len(path) <= room:
                nodes[path] = tree.add(nodes[path[:-1]], guesses[len(path) - 1][path[-1]])
        return tree
