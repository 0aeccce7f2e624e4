"""Guesses of several tokens at once from the model's hidden states."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from implementations.decoding._attending import Attending
from implementations.decoding._heads import chosen_tree
from implementations.decoding._layers import Medusa, Parallel
from implementations.decoding._linear import linear
from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from implementations.decoding._decode import Texts
    from implementations.decoding._engine import Passed
    from implementations.decoding._heads import Heads
    from implementations.decoding._inputs import DecodingInputs
    from implementations.decoding._model import Llama

    # From the states of each text that are new, (places, width), to those that guess, (texts, ahead, width).
    Ahead = Callable[[Sequence[Tensor]], Tensor]


# Verifying so many costs a tenth more than one in bfloat16 on a processor.
_NODES = 10


def medusa_drafter(model: Llama, heads: Heads, *, chain: bool = False) -> FixedTree:
    """Return what guesses with Medusa's heads, in a tree or in a chain of the likeliest."""
    assert isinstance(heads.module, Medusa)
    nodes = len(heads.rates) if chain else _NODES
    return FixedTree(model, heads, from_last_state(model, heads.module), nodes, chain=chain)


def beside(x: DecodingInputs, model: Llama, heads: Heads) -> FixedTree:
    """Return what guesses with blocks beside each other."""
    assert isinstance(heads.module, Parallel)
    _, batch, width = x.prompts.shape
    return FixedTree(model, heads, from_all_states(model, heads.module, batch, width + x.new_tokens), _NODES)


class FixedTree:
    """Guesses by heads, in a tree that is the same each time (Cai et al. 2024).

    Args:
        model: whose states are read, and whose output layer is used.
        heads: trained ones.
        ahead: what they make of states.
        nodes: of the tree; the places are those where guesses were most often right.
        chain: whether the tree is a chain of the likeliest guesses.
    """

    def __init__(self, model: Llama, heads: Heads, ahead: Ahead, nodes: int, *, chain: bool = False) -> None:
        self.hidden: Sequence[int] = (len(model.blocks),)
        self._ahead = ahead
        self._output, self._vocabulary = linear(model.unembedding[heads.vocabulary]), heads.vocabulary
        rates = heads.rates[:, :1] if chain else heads.rates
        self._places = chosen_tree(rates.tolist(), nodes)
        self._ranks = 1 + max(rank for path in self._places for rank in path)
        self._new: list[Tensor] = []

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Keep the states of prompts, but for their padding."""
        self._new = [passed.hidden[0][row, : len(text) - 1] for row, text in enumerate(texts)]

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Guess for all texts in one pass through the output layer."""
        with torch.inference_mode():
            guesses = self._vocabulary[self._output(self._ahead(self._new)).topk(self._ranks).indices].tolist()
        self._new = [states[:0] for states in self._new]
        return [self._tree(text[-1], row, left) for text, row, left in zip(texts, guesses, room, strict=True)]

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Keep the states of the nodes that were kept."""
        self._new = [passed.hidden[0][row, list(path)] for row, path in enumerate(paths)]

    def _tree(self, root: int, guesses: list[list[int]], room: int) -> Tree:
        tree = Tree.chain(root)
        nodes: dict[tuple[int, ...], int] = {(): 0}
        for path in self._places:
            if len(path) <= room:
                nodes[path] = tree.add(nodes[path[:-1]], guesses[len(path) - 1][path[-1]])
        return tree


def from_last_state(model: Llama, layers: Medusa) -> Ahead:
    """Return what Medusa's heads make of the last state of each text."""
    layers = layers.to(model.device, model.dtype)
    last: dict[int, Tensor] = {}

    def ahead(new: Sequence[Tensor]) -> Tensor:
        last.update({row: states[-1] for row, states in enumerate(new) if len(states)})
        return layers(torch.stack([last[row] for row in range(len(new))])).transpose(0, 1)

    return ahead


def from_all_states(model: Llama, layers: Parallel, batch: int, capacity: int) -> Ahead:
    """Return what blocks beside each other make of all states of each text, each with a cache of its own."""
    blocks = [Attending(model, block, batch, capacity) for block in layers.in_order]
    last: dict[int, Tensor] = {}

    def ahead(new: Sequence[Tensor]) -> Tensor:
        for row, states in enumerate(new):
            if len(states):
                read = [block.layers.norms["out"](block.read(row, [0] * len(states), states)) for block in blocks]
                last[row] = torch.cat(read)
        return torch.stack([last[row] for row in range(len(new))])

    return ahead
