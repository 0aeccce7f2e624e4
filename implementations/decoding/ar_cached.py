"""Plain decoding, optimised."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, requires

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires())
def ar_cached(x: DecodingInputs) -> Step:
    """One token a pass, with a static cache of keys and values and few calls a layer: what others are held against."""
    from implementations.decoding._decode import NoDrafter

    return decoding(x, lambda *_: NoDrafter())
