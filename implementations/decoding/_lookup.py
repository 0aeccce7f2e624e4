"""Guesses from the text itself: what followed its last tokens where they stood before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from implementations.decoding._decode import Texts
    from implementations.decoding._engine import Passed

# Tokens that must agree, the most first, and how many are guessed: verifying 8 costs a tenth more than 1 in bfloat16.
_GRAMS = (3, 2)
_GUESSES = 7


class Lookup:
    """Prompt lookup decoding (Saxena 2023): the latest place where the last tokens stood before."""

    hidden: Sequence[int] = ()

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Take texts up with nothing read."""
        self._places: list[dict[tuple[int, ...], int]] = [{} for _ in texts]
        self._read = [0] * len(texts)

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Guess one chain for each text."""
        return [self._guess(row, text, room[row]) for row, text in enumerate(texts)]

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Do nothing: the texts say it all."""

    def _guess(self, row: int, text: list[int], room: int) -> Tree:
        places = self._places[row]
        for end in range(self._read[row], len(text)):  # the last tokens themselves are no place to look at
            places.update({tuple(text[end - size : end]): end for size in _GRAMS if size <= end})
        self._read[row] = len(text)
        for size in _GRAMS:
            if (place := places.get(tuple(text[-size:]))) is not None:
                return Tree.chain(text[-1], text[place : place + min(_GUESSES, room)])
        return Tree.chain(text[-1])
