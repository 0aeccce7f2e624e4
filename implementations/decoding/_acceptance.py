"""Which guesses of a tree are kept: those that leave the model's distribution as it is, or that are typical of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from implementations.decoding._tree import Tree


# A typical token has at least the first probability, or the second times that of each token of an even distribution
# with the same entropy (Cai et al. 2024, section 2.3.1, and its published code).
_PROBABLE, _LIKE_EVEN = 0.09, 0.3


def accept_greedily(following: list[int], tree: Tree) -> tuple[list[int], int]:
    """Return the path from the root of nodes that are what the model says, and the token that it says next.

    Args:
        following: the model's likeliest token after each node.
        tree: of guesses.
    """
    path = [0]
    while (node := _child(tree, path[-1], following[path[-1]])) is not None:
        path.append(node)
    return path, following[path[-1]]


def accept_sampled(probabilities: Tensor, tree: Tree, generator: torch.Generator) -> tuple[list[int], int]:
    """Return the path of nodes that are accepted by rejection sampling, and a token that is drawn after it.

    A guess x that was drawn from q is kept with probability min(1, p(x) / q(x)); else the rest max(p - q, 0), made to
    sum to one, takes the place of p (Leviathan et al. 2023, section 2.3). One that was chosen without chance has
    q(x) = 1. Siblings are tried one after another, each against what those before have left of p (Miao et al. 2024,
    section 4.3).

    Args:
        probabilities: (nodes, vocabulary), what the model gives to each token after each node.
        tree: of guesses.
        generator: where chance comes from.
    """
    path = [0]
    while True:
        left, found = probabilities[path[-1]], None
        for node in tree.children(path[-1]):
            token, proposal = tree.tokens[node], tree.proposals.get(node)
            asked = 1.0 if proposal is None else float(proposal[token])
            if float(torch.rand((), generator=generator)) * asked < float(left[token]):
                found = node
                break
            left = residual(left, token, proposal)
        if found is None:
            return path, int(torch.multinomial(left, 1, generator=generator))
        path.append(found)


def accept_typically(probabilities: Tensor, tree: Tree, generator: torch.Generator) -> tuple[list[int], int]:
    """Return the longest path of typical guesses, of two the likelier, and the likeliest token after it: lossy.

    Args:
        probabilities: (nodes, vocabulary), what the model gives to each token after each node.
        tree: of guesses.
        generator: not used, since nothing is left to chance.
    """
    bounds = typical_bounds(probabilities).tolist()
    paths, likelihoods = {0: [0]}, {0: 0.0}
    for node, parent in enumerate(tree.parents):
        if parent in paths and (given := float(probabilities[parent, tree.tokens[node]])) > bounds[parent]:
            paths[node] = [*paths[parent], node]
            likelihoods[node] = likelihoods[parent] + math.log(given)
    best = max(paths, key=lambda node: (len(paths[node]), likelihoods[node]))
    return paths[best], int(probabilities[best].argmax())


def typical_bounds(probabilities: Tensor) -> Tensor:
    """Return the probability above which a token is typical of each distribution; the likeliest always is.

    Args:
        probabilities: (..., vocabulary).
    """
    entropy = torch.special.entr(probabilities).sum(-1)
    return (_LIKE_EVEN * torch.exp(-entropy)).clamp(max=_PROBABLE)


def residual(p: Tensor, token: int, proposal: Tensor | None) -> Tensor:
    """Return what p has left where a guess was rejected, as a distribution."""
    if proposal is None:
        rest = p.clone()
        rest[token] = 0
    else:
        rest = (p - proposal).clamp_(min=0)
    total = rest.sum()
    return rest / total if total > 0 else p  # p = q, where a rejection is a matter of rounding


def _child(tree: Tree, parent: int, token: int) -> int | None:
    return next((node for node in tree.children(parent) if tree.tokens[node] == token), None)
