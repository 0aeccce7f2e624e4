"""Decoding with guesses of EAGLE's block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import EAGLE

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=EAGLE))
def eagle(x: DecodingInputs) -> Step:
    """Guess with a block that has learnt the model's next state, in a growing tree (Li et al. 2024, EAGLE-1 and -2)."""
    from implementations.decoding._features import Shape, drafting

    heads = load_heads(x, EAGLE)
    return decoding(x, drafting(x, heads, EAGLE, Shape(width=4, depth=3, nodes=10)), heads)
