"""Decoding with guesses by a part of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import implementation
from implementations.decoding._inputs import NODES
from implementations.decoding._method import decoding, requires

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires())
def draft_model(x: DecodingInputs) -> Step:
    """Guess with some of the model's own layers, untrained for it, and verify with all (Zhang et al. 2024)."""
    from implementations.decoding._skipping import SelfDraft, kept_layers

    _, batch, width = x.prompts.shape
    capacity, kept = width + x.new_tokens + NODES, kept_layers(x.checkpoint.config.layers)
    return decoding(x, lambda model, sampler: SelfDraft(model, kept, batch, capacity, sampler))
