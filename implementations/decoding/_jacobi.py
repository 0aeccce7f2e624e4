"""Guesses from n-grams that the model says when it iterates on several tokens to come at once."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

    from implementations.decoding._decode import Texts
    from implementations.decoding._engine import Passed

# Tokens that are iterated on side by side, the length of n-grams, and those that are verified at once (W, N and G of
# Fu et al. 2024): up to 25 nodes, where their 7-billion models on a GPU take some hundred.
_WINDOW, _GRAM, _VERIFIED = 4, 4, 4


class Jacobi:
    """Lookahead decoding (Fu et al. 2024, section 3), with both of its branches in one tree.

    The window holds N - 1 rows of W guesses, the row of the latest iteration last. A guess of the first row follows the
    one on its left, one of another row that of the row before in its column: this is what each may see in the
    paper's figure 2(b). What the model says after the last row makes the next row, and a column with it an n-gram. A
    guess of the window that happens to be right is kept, too.
    """

    hidden: Sequence[int] = ()

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Fill windows with tokens that are drawn from the texts, as the paper does."""
        self._chance = random.Random(0)
        self._texts = texts
        self._windows = [[self._drawn(text, _WINDOW) for _ in range(_GRAM - 1)] for text in texts]
        self._pools: list[dict[int, list[tuple[int, ...]]]] = [{} for _ in texts]

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Put n-grams that begin with a text's last token, and its window, into a tree."""
        self._texts, self._nodes = texts, []
        trees = []
        for row, text in enumerate(texts):
            tree = Tree.chain(text[-1])
            for gram in self._pools[row].get(text[-1], ())[::-1]:
                _put(tree, 0, gram[: room[row]])
            self._nodes.append(_put_window(tree, self._windows[row]) if room[row] else [])
            trees.append(tree)
        return trees

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Take what the model says after the windows for the next iteration, and n-grams out of it."""
        following = passed.logits.argmax(-1).tolist()
        for row, (nodes, path) in enumerate(zip(self._nodes, paths, strict=True)):
            if nodes and path:
                self._iterate(row, [following[row][node] for node in nodes], len(path) - 1)

    def _iterate(self, row: int, said: list[int], accepted: int) -> None:
        """Take the next iteration, and move the window on by guesses that were accepted."""
        window = self._windows[row]
        for gram in zip(*window, said, strict=True):
            known = self._pools[row].setdefault(gram[0], [])
            if gram[1:] in known:
                known.remove(gram[1:])
            known.append(gram[1:])
            del known[:-_VERIFIED]
        moved = [guesses[accepted:] for guesses in (*window[1:], said)]
        self._windows[row] = [rest + self._drawn(self._texts[row], _WINDOW - len(rest)) for rest in moved]

    def _drawn(self, text: list[int], count: int) -> list[int]:
        return self._chance.choices(text, k=count)


def _put(tree: Tree, parent: int, tokens: Sequence[int]) -> int:
    """Put tokens below a node, each below the one before, and return the last one's node."""
    for token in tokens:
        parent = tree.add(parent, token)
    return parent


def _put_window(tree: Tree, window: list[list[int]]) -> list[int]:
    """Put a window into a tree, and return the nodes of its last row."""
    above, nodes = 0, []
    for column in zip(*window, strict=True):
        above = tree.add(above, column[0])
        nodes.append(_put(tree, above, column[1:]))
    return nodes
