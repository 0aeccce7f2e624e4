"""Plain decoding without a cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness import implementation
from implementations.decoding._inputs import NODES
from implementations.decoding._method import Decoded, load_model, requires

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires())
def ar_recompute(x: DecodingInputs) -> Step:
    """One token a pass of the whole text: no keys and values are kept, so that a token costs more the later it is."""
    from implementations.decoding._decode import Limits, Sampler
    from implementations.decoding._engine import Engine
    from implementations.decoding._tree import Tree

    model = load_model(x)
    _, batch, width = x.prompts.shape
    engine, limits = Engine(model, batch, width + x.new_tokens + NODES), Limits(x.new_tokens, model.config.eos)

    def continued(prompts: list[list[int]], sampler: Sampler) -> list[list[int]]:
        made: list[list[int]] = [[] for _ in prompts]
        while any(limits.room(new) for new in made):
            passed = engine.prefill([[*prompt, *new] for prompt, new in zip(prompts, made, strict=True)])
            for new, (_, token) in zip(made, sampler.accept(passed, [Tree.chain(0)] * batch), strict=True):
                new += limits.cut(new, [token])
        return made

    def step() -> Decoded:
        sampler = Sampler(x.temperature, int(x.seed))
        with torch.inference_mode():
            return Decoded([new for prompts in x.batches() for new in continued(prompts, sampler)])

    return step
