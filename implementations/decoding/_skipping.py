"""Guesses by the model itself with some of its layers left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from implementations.decoding._engine import Engine
from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from implementations.decoding._decode import Sampler, Texts
    from implementations.decoding._engine import Passed
    from implementations.decoding._model import Llama

_GUESSES = 3


class SelfDraft:
    """Drafts with some layers of the model, which have a cache of their own (Zhang et al. 2024, section 3.1).

    Args:
        model: whose layers they are.
        kept: the layers that are carried out, in order.
        capacity: how many tokens a text may come to, guesses included.
        sampler: chooses guesses at the temperature of the model.
    """

    hidden: Sequence[int] = ()

    def __init__(self, model: Llama, kept: Sequence[int], batch: int, capacity: int, sampler: Sampler) -> None:
        self._engine, self._sampler = Engine(model.skipping(kept), batch, capacity), sampler

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Prefill prompts."""
        self._engine.prefill([text[:-1] for text in texts])

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Guess a chain for each text, all texts a token at a time."""
        cache, trees = self._engine.cache, [Tree.chain(text[-1]) for text in texts]
        self._lengths = [len(text) for text in texts]
        # A text that takes no more guesses is passed through with the others, and forgotten.
        unread = [text[n:] if left else text[-1:] for text, n, left in zip(texts, cache.lengths, room, strict=True)]
        for turn in range(min(_GUESSES, max(room))):
            passed = self._engine.verify([Tree.chain(tokens[0], tokens[1:]) for tokens in unread])
            self._engine.keep([range(len(tokens) if left else 0) for tokens, left in zip(unread, room, strict=True)])
            for row, tree in enumerate(trees):
                token, proposal = self._sampler.draw(passed.logits[row, len(unread[row]) - 1])
                unread[row] = [token]
                if turn < room[row]:
                    tree.extend(token, proposal)
        return trees

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Take back the guesses that were not kept."""
        lengths = self._engine.cache.lengths
        for row, path in enumerate(paths):
            lengths[row] = min(lengths[row], self._lengths[row] + max(len(path) - 1, 0))


def kept_layers(layers: int) -> list[int]:
    """Return the layers that drafts are made with: the outer ones, and every other one between them."""
    outer = max(layers // 4, 1)
    return [layer for layer in range(layers) if layer < outer or layer >= layers - outer or layer % 2]
