"""Decoding with guesses of blocks beside each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import META

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=META))
def mtp_meta(x: DecodingInputs) -> Step:
    """Guess with blocks beside each other, one for each token ahead, in a fixed tree (Gloeckle et al. 2024)."""
    from implementations.decoding._medusa import beside

    heads = load_heads(x, META)
    return decoding(x, lambda model, _: beside(x, model, heads), heads)
