"""Rejection sampling: what is made has the distribution of the model, whatever is guessed."""

from __future__ import annotations

import functools
from dataclasses import replace

import pytest
import torch
from scipy.stats import chi2

from implementations.decoding import _acceptance
from implementations.decoding._decode import Sampler
from implementations.decoding._jacobi import Jacobi
from implementations.decoding._lookup import Lookup
from implementations.decoding._skipping import SelfDraft
from implementations.decoding._tree import Tree
from tests.implementations.decoding import small

P = torch.tensor([0.35, 0.2, 0.15, 0.1, 0.08, 0.06, 0.04, 0.02], dtype=torch.float64)
Q = torch.tensor([0.05, 0.3, 0.25, 0.0, 0.2, 0.1, 0.05, 0.05], dtype=torch.float64)
DRAWS = 20_000


def statistic(found, expected):
    """Return Pearson's statistic over the cells that can be met, and the value that chance exceeds once in 10^6."""
    met = expected > 0
    assert not found[~met].any()
    value = ((found[met] - expected[met]) ** 2 / expected[met]).sum().item()
    return value, chi2.isf(1e-6, int(met.sum()) - 1)


def first_tokens(rule, trees, draws=DRAWS):
    """Return how often each token is the first to be made, over trees whose guesses are drawn anew."""
    generator = torch.Generator().manual_seed(1)
    given = P.expand(4, -1)
    found = torch.zeros(len(P))
    for tree in trees(draws):
        path, token = rule(given, tree, generator)
        found[tree.tokens[path[1]] if len(path) > 1 else token] += 1
    return found


def drawn(draws):
    guesses = torch.multinomial(Q, draws, replacement=True, generator=torch.manual_seed(0)).tolist()
    return (Tree([0, guess], [-1, 0], {1: Q}) for guess in guesses)


def chosen(draws):
    return (Tree([0, 1, 3, 0], [-1, 0, 0, 0]) for _ in range(draws))


@pytest.mark.parametrize("trees", [drawn, chosen], ids=["drawn from q", "three siblings chosen without chance"])
def test_tokens_have_the_distribution_of_the_model(trees):
    value, bound = statistic(first_tokens(_acceptance.accept_sampled, trees), P * DRAWS)
    assert value < bound


@pytest.mark.parametrize(
    ("old", "new", "trees"),
    [
        ("rest = (p - proposal).clamp_(min=0)", "rest = p.clone()", drawn),
        ("        rest[token] = 0\n", "", chosen),
        ("* asked <", "<", drawn),
        ("            left = residual(left, token, proposal)\n", "", chosen),
    ],
    ids=["residual is p", "rejected token stays", "q left out", "siblings against p"],
)
def test_a_wrong_rule_shows(old, new, trees):
    draws = DRAWS // 10  # a wrong rule shows in a tenth of what a right one withstands
    wrong = small.planted("_acceptance", old, new).accept_sampled
    value, bound = statistic(first_tokens(wrong, trees, draws), P * draws)
    assert value > 3 * bound


def test_a_guess_from_the_model_itself_is_always_kept():
    generator = torch.Generator().manual_seed(0)
    guesses = torch.multinomial(P, 1000, replacement=True, generator=generator).tolist()
    trees = (Tree([0, guess], [-1, 0], {1: P}) for guess in guesses)
    assert all(len(_acceptance.accept_sampled(P.expand(2, -1), tree, generator)[0]) == 2 for tree in trees)


def test_the_longest_typical_path_is_kept_and_of_two_the_likelier():
    # An entropy of 1.8 bounds at 0.049: the last two tokens of eight are not typical.
    given = P.expand(9, -1)
    bound = 0.3 * torch.exp((P * P.log()).sum())
    assert _acceptance.typical_bounds(P).item() == pytest.approx(bound.item())
    assert _acceptance.typical_bounds(torch.eye(3)[0]).item() == pytest.approx(0.09)
    keep = functools.partial(_acceptance.accept_typically, given, generator=torch.Generator())
    assert keep(Tree([0, 6, 7], [-1, 0, 1])) == ([0], 0), "neither is typical"
    assert keep(Tree([0, 2, 5, 6, 1], [-1, 0, 1, 2, 0])) == ([0, 1, 2], 0), "longer before likelier"
    assert keep(Tree([0, 5, 4, 1, 3], [-1, 0, 1, 0, 3])) == ([0, 3, 4], 0), "of two as long the likelier"
    assert keep(Tree([0, 6, 0], [-1, 0, 1])) == ([0], 0), "nothing after what is not typical"


@pytest.mark.parametrize("name", ["lookup", "lookahead", "self draft"])
def test_pairs_of_tokens_of_a_whole_method_have_the_distribution_of_the_model(name):
    config = replace(small.CONFIG, vocabulary=6, layers=2, width=32, head_dim=8, inner=64)
    llama, prompt, batch, times = small.model(config), [1, 2, 3, 1, 2], 600, 10
    found = torch.zeros(6, 6)
    for seed in range(times):
        sampler = Sampler(1.5, seed)
        drafter = {"lookup": Lookup, "lookahead": Jacobi}.get(name) or (
            lambda sampler=sampler: SelfDraft(llama, [0], batch, 64, sampler)
        )
        made, _ = small.made_by(drafter(), llama, [prompt] * batch, new=3, sampler=sampler)
        for _, second, third in made:
            found[second, third] += 1
    value, bound = statistic(found.flatten(), pair_distribution(llama, prompt, 1.5).flatten() * batch * times)
    assert value < bound


def pair_distribution(llama, prompt, temperature):
    """Return the probability of each second and third token after a prompt, by enumeration."""
    from tests.implementations.decoding.test_engine import logits_after

    def after(*tokens):
        return torch.softmax(logits_after(llama, [*prompt, *tokens]).double() / temperature, -1)

    pairs = torch.zeros(6, 6, dtype=torch.float64)
    for first, share in enumerate(after()):
        for second, given in enumerate(after(first)):
            pairs[second] += share * given * after(first, second)
    return pairs
