"""Plain decoding by transformers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from harness import implementation
from implementations.decoding._decode import Limits
from implementations.decoding._method import Decoded, requires

if TYPE_CHECKING:
    from harness import Step
    from implementations.decoding._inputs import DecodingInputs


@implementation("decoding", requires=requires(("transformers",)))
def ar_hf(x: DecodingInputs) -> Step:
    """One token a pass by transformers' generate, with the cache and the attention that it takes by default."""
    from implementations.decoding._transformers import load_transformers

    model = load_transformers(x.checkpoint, x.torch_dtype).to(x.prompts.device)
    eos = list(x.checkpoint.config.eos)
    how: dict[str, Any] = {"max_new_tokens": x.new_tokens, "do_sample": x.temperature > 0, "pad_token_id": 0}
    how |= {"temperature": x.temperature, "top_k": 0, "top_p": 1.0} if x.temperature else {}
    limits = Limits(x.new_tokens, tuple(eos))

    def continued(prompts: list[list[int]]) -> list[list[int]]:
        width = max(map(len, prompts))
        padded = torch.tensor([[0] * (width - len(text)) + text for text in prompts])
        seen = torch.tensor([[0] * (width - len(text)) + [1] * len(text) for text in prompts])
        device = x.prompts.device
        made = model.generate(padded.to(device), attention_mask=seen.to(device), eos_token_id=eos, **how)
        return [limits.cut([], new) for new in made[:, width:].tolist()]

    def step() -> Decoded:
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(int(x.seed))
            return Decoded([new for prompts in x.batches() for new in continued(prompts)])

    return step
