"""Decoding with guesses of a module for multi-token prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires())
def mtp_deepseek(x: DecodingInputs) -> Step:
    """Guess a chain with one trained block that reads its own guesses (DeepSeek-AI 2024), as its module is reused."""
    from implementations.decoding._features import Shape, drafting
    from implementations.decoding._heads import MTP

    return decoding(x, drafting(x, load_heads(x, MTP), MTP, Shape(width=1, depth=2, nodes=2)))
