"""Trees of tokens that are guessed to follow a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


@dataclass
class Tree:
    """Guesses, and the last token of the text as their root.

    Attributes:
        tokens: of each node; the first is the root's.
        parents: the index of each node's parent, which is less than its own; the root's is -1.
        proposals: of each node whose token was drawn from a distribution, that distribution; a node that is not in
            here was chosen without chance.
    """

    tokens: list[int]
    parents: list[int]
    proposals: dict[int, Tensor] = field(default_factory=dict)

    @staticmethod
    def chain(root: int, guesses: Sequence[int] = ()) -> Tree:
        """Return guesses of which each follows the one before."""
        return Tree([root, *guesses], list(range(-1, len(guesses))))

    def add(self, parent: int, token: int) -> int:
        """Return the child of a node that has a token, which is added where there is none yet."""
        for node in self.children(parent):
            if self.tokens[node] == token:
                return node
        self.tokens.append(token)
        self.parents.append(parent)
        return len(self.tokens) - 1

    def extend(self, token: int, proposal: Tensor | None) -> None:
        """Add a token below the last node, which was drawn from a distribution or chosen without chance."""
        self.parents.append(len(self.tokens) - 1)
        self.tokens.append(token)
        if proposal is not None:
            self.proposals[len(self.tokens) - 1] = proposal

    def children(self, node: int) -> list[int]:
        """Return the nodes that follow a node, in the order in which they were added."""
        return [child for child, parent in enumerate(self.parents) if parent == node]

    @property
    def depths(self) -> list[int]:
        """How many nodes lie above each."""
        depths: list[int] = []
        for parent in self.parents:
            depths.append(depths[parent] + 1 if parent >= 0 else 0)
        return depths

    def ancestors(self, size: int) -> Tensor:
        """Return whether node i is node j or below it, (size, size); nodes that there are not see themselves."""
        seen = torch.eye(size, dtype=torch.bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
        return seen
