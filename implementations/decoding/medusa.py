"""Decoding with guesses of Medusa's heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import MEDUSA

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=MEDUSA))
def medusa(x: DecodingInputs) -> Step:
    """Guess with heads on the last state, in a tree that was chosen once (Cai et al. 2024): Medusa-1, lossless."""
    from implementations.decoding._medusa import medusa_drafter

    heads = load_heads(x, MEDUSA)
    return decoding(x, lambda model, _: medusa_drafter(model, heads), heads)
