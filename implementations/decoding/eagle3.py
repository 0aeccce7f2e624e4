"""Decoding with guesses of EAGLE-3's block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import EAGLE3

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=EAGLE3))
def eagle3(x: DecodingInputs) -> Step:
    """Guess with a block on states of three layers, trained on its own guesses, in a growing tree (Li et al. 2025)."""
    from implementations.decoding._features import Shape, drafting

    heads = load_heads(x, EAGLE3)
    return decoding(x, drafting(x, heads, EAGLE3, Shape(width=4, depth=3, nodes=10)), heads)
