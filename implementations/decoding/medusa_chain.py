"""Decoding with the likeliest guesses of Medusa's heads alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import MEDUSA

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=MEDUSA))
def medusa_chain(x: DecodingInputs) -> Step:
    """Guess with heads on the last state, the likeliest of each alone: what a tree adds is the difference to medusa."""
    from implementations.decoding._medusa import medusa_drafter

    heads = load_heads(x, MEDUSA)
    return decoding(x, lambda model, _: medusa_drafter(model, heads, chain=True), heads)
