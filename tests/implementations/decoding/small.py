"""Small models with drawn weights, and drafters whose guesses are known."""

from __future__ import annotations

import importlib
import types
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch

from implementations.decoding._decode import Counts, Limits, NoDrafter, Sampler, decode
from implementations.decoding._engine import Engine
from implementations.decoding._features import FeatureDrafter, Shape
from implementations.decoding._heads import Heads
from implementations.decoding._layers import new_module, states_of
from implementations.decoding._medusa import FixedTree, from_all_states, from_last_state
from implementations.decoding._model import Llama
from implementations.decoding._places import MEDUSA, META
from implementations.decoding._source import SIZES, draw_weights
from implementations.decoding._tree import Tree

CONFIG = replace(SIZES["tiny"], vocabulary=96, context=512, eos=())
PROMPTS = [[5, 17, 3, 5, 17], [80, 2, 41, 9, 9, 9, 30, 61, 7], [11]]


def model(config=CONFIG, dtype=torch.float32):
    return Llama(config, draw_weights(config), dtype)


def made_by(drafter, llama, prompts=PROMPTS, *, new=20, eos=(), sampler=None, loop=decode):
    """Return the new tokens of prompts, and what was counted."""
    engine, counts = Engine(llama, len(prompts), 256), Counts()
    with torch.inference_mode():
        return loop(engine, prompts, drafter, sampler or Sampler(0, 0), Limits(new, eos), counts), counts


def plain(llama, prompts=PROMPTS, new=20):
    return made_by(NoDrafter(), llama, prompts, new=new)[0]


def planted(name, old, new):
    """Return a module of decoding as it is with a fault in its source."""
    module = importlib.import_module(f"implementations.decoding.{name}")
    text = Path(module.__file__).read_text()
    assert text.count(old) == 1
    faulty = types.ModuleType(f"planted_{name}")
    importlib.import_module("sys").modules[faulty.__name__] = faulty  # where dataclasses look their module up
    exec(compile(text.replace(old, new), name, "exec"), faulty.__dict__)
    return faulty


@cache
def heads(method):
    """Return heads that have learnt nothing, of weights that are drawn."""
    generator, module = torch.Generator().manual_seed(1), new_module(method, CONFIG)
    for name, parameter in module.named_parameters():
        # Attention has a large part, so that where tokens are and what is seen of them decides guesses.
        large = 4 if name.endswith(("qkv.weight", "merge.weight")) else 1
        torch.nn.init.normal_(parameter, std=large * parameter.shape[-1] ** -0.5, generator=generator)
    rates = torch.tensor([[0.5, 0.2, 0.1]] * 3)
    return Heads(module, torch.arange(0, CONFIG.vocabulary, 2), rates, {})


def learned(llama, method, width):
    """Return what guesses with such heads, a chain or a tree."""
    known = heads(method)
    if method in (MEDUSA, META):
        held = from_all_states(llama, known.module, len(PROMPTS), 256) if method == META else None
        ahead = held or from_last_state(llama, known.module)
        return FixedTree(llama, known, ahead, 3 * width, chain=width == 1)
    states = states_of(method, len(llama.blocks))
    return FeatureDrafter(llama, known, Shape(width, 3, 3 * width), states, len(PROMPTS), 256)


class Foretelling:
    """Knows how texts go on, and guesses that, or anything but that; each guess beside some that are wrong.

    Args:
        truth: how each text goes on.
        lengths: of the prompts.
        depth: of the guesses.
        right: whether the guesses are right.
        tree: the class of trees.
    """

    hidden = ()

    def __init__(self, truth, lengths, depth=4, right=True, tree=Tree):
        self.truth, self.lengths, self.depth, self.right, self.tree = truth, lengths, depth, right, tree

    def begin(self, texts, passed):
        pass

    def propose(self, texts, room):
        return [self._guess(*row) for row in zip(texts, self.truth, self.lengths, room, strict=True)]

    def learn(self, trees, paths, passed):
        pass

    def _guess(self, text, truth, length, room):
        tree, parent = self.tree([text[-1]], [-1]), 0
        for token in truth[len(text) - length :][: min(self.depth, room)]:
            wrong = [tree.add(parent, (token + other) % CONFIG.vocabulary) for other in (1, 2)]
            parent = tree.add(parent, token) if self.right else wrong[0]
        return tree
