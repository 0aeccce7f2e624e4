"""Decoding with guesses from the model's own parallel iterations."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, requires

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires())
def lookahead(x: DecodingInputs) -> Step:
    """Iterate on several tokens to come at once, and guess the n-grams that this has shown (Fu et al. 2024)."""
    from implementations.decoding._jacobi import Jacobi

    return decoding(x, lambda *_: Jacobi())
