"""Decoding with guesses of Medusa's heads that need not be the model's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import MEDUSA

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=MEDUSA, lossy=True))
def medusa_typical(x: DecodingInputs) -> Step:
    """Keep medusa's guesses where they are typical of the model, whose samples are others (Cai et al. 2024): lossy."""
    from implementations.decoding._medusa import medusa_drafter

    heads = load_heads(x, MEDUSA)
    return decoding(x, lambda model, _: medusa_drafter(model, heads), heads, lossy=True)
