"""Guesses by a block that goes on from its own guesses, in a tree of the likeliest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from implementations.decoding._attending import Attending
from implementations.decoding._inputs import NODES
from implementations.decoding._layers import Module, states_of
from implementations.decoding._linear import linear
from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from implementations.decoding._decode import Sampler, Texts
    from implementations.decoding._engine import Passed
    from implementations.decoding._heads import Heads
    from implementations.decoding._inputs import DecodingInputs
    from implementations.decoding._method import Begin
    from implementations.decoding._model import Llama


@dataclass(frozen=True)
class Shape:
    """How a tree grows.

    Attributes:
        width: guesses that are gone on from at each depth, and likeliest tokens that are taken after each.
        depth: guesses one after another.
        nodes: that are verified, the likeliest of all that were guessed.
    """

    width: int
    depth: int
    nodes: int


def drafting(x: DecodingInputs, heads: Heads, method: str, shape: Shape) -> Begin:
    """Return what begins to guess with the heads of a method."""
    _, batch, width = x.prompts.shape
    capacity = width + x.new_tokens + NODES

    def begin(model: Llama, sampler: Sampler) -> FeatureDrafter:
        return FeatureDrafter(model, heads, shape, states_of(method, len(model.blocks)), batch, capacity)

    return begin


class FeatureDrafter:
    """Guesses by a trained block (MTP, EAGLE), in a tree that grows where it is likeliest (Li et al. 2024, section 4).

    The block has a cache of its own. Guesses are made of guessed features; once tokens are kept, the block passes them
    again with the true ones, so that no error stays.

    Args:
        model: whose states are read, and whose embedding and output layer are used.
        heads: trained ones.
        shape: of the tree.
        states: which hidden states the block reads.
        batch: how many texts there are.
        capacity: how many tokens a text may come to, guesses included.
    """

    def __init__(
        self, model: Llama, heads: Heads, shape: Shape, states: Sequence[int], batch: int, capacity: int
    ) -> None:
        self.hidden = states
        self._model, self._shape, self._vocabulary = model, shape, heads.vocabulary
        assert isinstance(heads.module, Module)
        self._block = Attending(model, heads.module, batch, capacity + shape.width * shape.depth)
        self._output = linear(model.unembedding[heads.vocabulary])
        self._unread: list[Tensor] = []
        self._last: dict[int, Tensor] = {}

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Take prompts up; what the model has said of them is read with the first guesses."""
        self._block.lengths = [0] * len(texts)
        kept = [range(len(text) - 1) for text in texts]
        self._unread = [self._features(passed, row, path) for row, path in enumerate(kept)]

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Guess a tree for each text."""
        with torch.inference_mode():
            return [self._grown(row, text, left) for row, (text, left) in enumerate(zip(texts, room, strict=True))]

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Keep the true features of the nodes that were kept."""
        for row, path in enumerate(paths):
            if path:
                self._unread[row] = self._features(passed, row, path)

    def _features(self, passed: Passed, row: int, path: Sequence[int]) -> Tensor:
        with torch.inference_mode():
            return self._block.layers.feature([state[row, list(path)] for state in passed.hidden])

    def _grown(self, row: int, text: list[int], room: int) -> Tree:
        """Grow a tree depth by depth, and return the likeliest of its guesses."""
        depth, width = min(self._shape.depth, room), self._shape.width
        if not depth:
            return Tree.chain(text[-1])
        feature = self._read(row, text)
        tokens: list[int] = []
        parents: list[int] = []
        scores: list[float] = []
        frontier, ahead = [-1], torch.zeros(1)
        slots: dict[int, int] = {}
        for level in range(depth):
            guesses = torch.log_softmax(self._output(self._block.layers.norms["out"](feature)).float(), -1).topk(width)
            worth = ahead[:, None] + guesses.values.cpu()
            first = len(tokens)
            tokens += self._vocabulary[guesses.indices].flatten().tolist()
            parents += [node for node in frontier for _ in range(width)]
            scores += worth.flatten().tolist()
            if level + 1 == depth:
                break
            best = worth.flatten().topk(width)
            ahead, chosen = best.values, best.indices.tolist()
            frontier = [first + index for index in chosen]
            before = feature[[index // width for index in chosen]]
            seen = self._seen(frontier, parents, slots)
            places = [self._block.lengths[row] + level] * width
            feature = self._block(row, [tokens[node] for node in frontier], before, places, seen)
        return self._likeliest(text[-1], tokens, parents, scores)

    def _read(self, row: int, text: list[int]) -> Tensor:
        """Pass kept tokens with their true features, and return the feature that the first guesses come of."""
        unread = self._unread[row]
        if len(unread):
            self._last[row] = self._block.read(row, text[-len(unread) :], unread)
            self._unread[row] = unread[:0]
        return self._last[row]

    def _seen(self, frontier: list[int], parents: list[int], slots: dict[int, int]) -> Tensor:
        """Give nodes their slots, and return which of all that were given each sees: those above it, and itself."""
        start = len(slots)
        slots |= {node: start + index for index, node in enumerate(frontier)}
        seen = torch.zeros(len(frontier), len(slots), dtype=torch.bool)
        for index, node in enumerate(frontier):
            while node >= 0:
                seen[index, slots[node]] = True
                node = parents[node]
        return seen

    def _likeliest(self, root: int, tokens: list[int], parents: list[int], scores: list[float]) -> Tree:
        """Return a tree of the likeliest guesses; none is likelier than what it follows, so that these are in it."""
        order = sorted(range(len(tokens)), key=lambda node: -scores[node])[: self._shape.nodes]
        tree, places = Tree.chain(root), {-1: 0}
        for node in order:
            places[node] = tree.add(places[parents[node]], tokens[node])
        return tree
