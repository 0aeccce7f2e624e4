"""Decoding with guesses of a module for multi-token prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import MTP

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=MTP))
def mtp_deepseek(x: DecodingInputs) -> Step:
    """Guess a chain with one trained block that reads its own guesses (DeepSeek-AI 2024), as its module is reused."""
    from implementations.decoding._features import Shape, drafting

    heads = load_heads(x, MTP)
    return decoding(x, drafting(x, heads, MTP, Shape(width=1, depth=2, nodes=2)), heads)
