"""What is decoded: prompts of some kind in a model's tokens, and how far."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from implementations.decoding._source import Checkpoint, checkpoint

if TYPE_CHECKING:
    from torch import Tensor

    from harness import Params

KINDS = ("chat", "code", "summary", "translation", "retrieval", "copying")
DTYPES = ("fp32", "bf16")
# The most nodes of a tree: slots that a cache has beyond what is kept.
NODES = 64


@dataclass(frozen=True)
class DecodingInputs:
    """Prompts, and how they are to be continued.

    Attributes:
        prompts: (batches, batch, prefill), each filled up with -1 at its end.
        seed: (1,), of all chance where the temperature is above zero.
        model: its name.
        new_tokens: after which a text is cut off, if nothing has ended it before.
    """

    prompts: Tensor
    seed: Tensor
    model: str
    new_tokens: int
    temperature: float
    dtype: str

    @property
    def checkpoint(self) -> Checkpoint:
        """The model's weights, configuration and tokenizer."""
        return checkpoint(self.model)

    @property
    def torch_dtype(self) -> torch.dtype:
        """The dtype of weights and activations."""
        return torch.float32 if self.dtype == "fp32" else torch.bfloat16

    def batches(self) -> list[list[list[int]]]:
        """Read the prompts from their tensor, as they are now."""
        return [[[token for token in row if token >= 0] for row in batch] for batch in self.prompts.tolist()]


def make_inputs(params: Params, device: str, generator: torch.Generator) -> DecodingInputs:
    """Choose prompts of the kind that is asked for, and put them into the model's tokens."""
    model, width = str(params["model"]), int(params["prefill"])
    known = checkpoint(model)
    room = known.config.context - int(params["new_tokens"]) - NODES
    if width > room:
        raise ValueError(f"{model} has {known.config.context} positions, which leaves {room} to a prompt, not {width}")
    texts = read_prompts()[str(params["prompts"])]
    count, batch = int(params["count"]), int(params["batch"])
    order = [torch.randperm(len(texts), generator=generator) for _ in range(-(-count * batch // len(texts)))]
    prompts = torch.full((count * batch, width), -1)
    for row, index in zip(prompts, torch.cat(order).tolist(), strict=False):
        tokens = known.tokenizer.prompt(texts[index])[-width:]
        row[: len(tokens)] = torch.tensor(tokens)
    return DecodingInputs(
        prompts=prompts.view(count, batch, width).to(device),
        seed=torch.randint(1 << 31, (1,), generator=generator).to(device),
        model=model,
        new_tokens=int(params["new_tokens"]),
        temperature=float(params["temperature"]),
        dtype=str(params["dtype"]),
    )


def input_bytes(params: Params) -> int:
    """Return the size of the prompts and the seed, all int64."""
    return 8 * (int(params["count"]) * int(params["batch"]) * int(params["prefill"]) + 1)


def read_prompts() -> dict[str, list[str]]:
    """Return the texts of each kind."""
    data = tomllib.loads((Path(__file__).parent / "_prompts.toml").read_text())
    return {kind: [text.strip() for text in data[kind]["texts"]] for kind in KINDS}
