"""Decoding with guesses of EAGLE-3's block and of the text itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import EAGLE3

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=EAGLE3))
def eagle3_lookup(x: DecodingInputs) -> Step:
    """EAGLE-3's tree, and beside it what followed the last tokens where they stood before, as prompt_lookup has it."""
    from implementations.decoding._features import Shape, drafting
    from implementations.decoding._joined import Joined
    from implementations.decoding._lookup import Lookup

    heads = load_heads(x, EAGLE3)
    learned = drafting(x, heads, EAGLE3, Shape(width=4, depth=3, nodes=8))
    return decoding(x, lambda model, sampler: Joined(learned(model, sampler), Lookup()), heads)
