"""The step that is made of a way to guess, and what it returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch

from harness import Requires
from implementations.decoding._inputs import NODES
from implementations.decoding._places import found_heads, how_to_train

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from harness import Params, Step
    from implementations.decoding._decode import Counts, Drafter, Sampler
    from implementations.decoding._heads import Heads
    from implementations.decoding._inputs import DecodingInputs
    from implementations.decoding._model import Llama

    Begin = Callable[[Llama, Sampler], Drafter]


@dataclass(frozen=True)
class Decoded:
    """What a step returns: the new tokens of each text in the order of the prompts, and what happened.

    Attributes:
        counts: None of a method that is another library's.
        again: takes the step once more.
        plainly: decodes the same prompts one token a pass with the same engine; None where there is none.
        lossy: whether the text is another one than the model's on purpose.
        learned: what is known of the heads that guessed.
    """

    tokens: list[list[int]]
    counts: Counts | None = None
    again: Step | None = field(default=None, repr=False)
    plainly: Step | None = field(default=None, repr=False)
    lossy: bool = False
    learned: Mapping[str, float] = field(default_factory=dict)


def requires(modules: tuple[str, ...] = (), *, heads: str = "", lossy: bool = False) -> Requires:
    """Return what a method needs: the library that reads checkpoints, and others.

    Args:
        modules: the others.
        heads: the method whose trained heads it guesses with.
        lossy: whether it makes another text, which it can at a temperature above zero.
    """

    def unsupported(params: Params, device: str) -> str:
        model = str(params["model"])
        if lossy and not params["temperature"]:
            return "at temperature 0 nothing but the likeliest token is typical"
        return how_to_train(model, heads) if heads and not found_heads(model, heads) else ""

    return Requires(modules=("gguf", "platformdirs", "safetensors", "tokenizers", *modules), unsupported=unsupported)


def load_model(x: DecodingInputs) -> Llama:
    """Return the model of the inputs, in their dtype and on their device."""
    from implementations.decoding._model import Llama

    known = x.checkpoint
    return Llama(known.config, known.weights(), x.torch_dtype, x.prompts.device)


def load_heads(x: DecodingInputs, method: str) -> Heads:
    """Return the trained heads of a method for the model of the inputs.

    Raises:
        FileNotFoundError: there are none yet.
    """
    from implementations.decoding._heads import read_heads

    if path := found_heads(x.model, method):
        return read_heads(path, method, x.checkpoint.config)
    raise FileNotFoundError(how_to_train(x.model, method))


def decoding(x: DecodingInputs, begin: Begin, heads: Heads | None = None, *, lossy: bool = False) -> Step:
    """Return the step of a method: the prompts as they are now, batch by batch, with the guesses of a drafter.

    Args:
        x: the inputs.
        begin: makes the drafter; called once for each batch.
        heads: that the drafter guesses with.
        lossy: whether typical guesses are kept, where others are only as often as the model says them.
    """
    from implementations.decoding._acceptance import accept_sampled, accept_typically
    from implementations.decoding._decode import Counts, Limits, NoDrafter, Sampler, decode
    from implementations.decoding._engine import Engine

    model = load_model(x)
    _, batch, width = x.prompts.shape
    engine = Engine(model, batch, width + x.new_tokens + NODES)
    limits = Limits(x.new_tokens, model.config.eos)
    accepted = accept_typically if lossy else accept_sampled
    learned = heads.known() if heads else {}

    def decoded(begin: Begin) -> Decoded:
        counts, sampler = Counts(), Sampler(x.temperature, int(x.seed), accepted)
        tokens = []
        with torch.inference_mode():
            for prompts in x.batches():
                tokens += decode(engine, prompts, begin(model, sampler), sampler, limits, counts)
        return Decoded(tokens, counts, step, lambda: decoded(lambda *_: NoDrafter()), lossy, learned)

    def step() -> Decoded:
        return decoded(begin)

    return step
