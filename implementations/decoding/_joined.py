"""Guesses of two drafters in one tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from implementations.decoding._decode import Drafter, Texts
    from implementations.decoding._engine import Passed
    from implementations.decoding._tree import Tree


class Joined:
    """Verifies what two drafters guess; where they agree, once.

    Args:
        first: whose hidden states are read.
        second: that reads the text alone, and chooses its guesses without chance.
    """

    def __init__(self, first: Drafter, second: Drafter) -> None:
        self._first, self._second, self.hidden = first, second, first.hidden

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Have both take texts up."""
        self._first.begin(texts, passed)
        self._second.begin(texts, passed)

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Return the trees of the first, with the guesses of the second added."""
        trees = self._first.propose(texts, room)
        for tree, other in zip(trees, self._second.propose(texts, room), strict=True):
            places = [0]
            for token, parent in zip(other.tokens[1:], other.parents[1:], strict=True):
                places.append(tree.add(places[parent], token))
        return trees

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Tell the first what was kept."""
        self._first.learn(trees, paths, passed)
