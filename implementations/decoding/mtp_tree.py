"""Decoding with a tree of guesses of a module for multi-token prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._method import decoding, load_heads, requires
from implementations.decoding._places import MTP

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(heads=MTP))
def mtp_tree(x: DecodingInputs) -> Step:
    """The same module, with a tree that grows where it is likeliest (EAGLE-2, Li et al. 2024)."""
    from implementations.decoding._features import Shape, drafting

    heads = load_heads(x, MTP)
    return decoding(x, drafting(x, heads, MTP, Shape(width=4, depth=3, nodes=10)), heads)
