"""Heads that guess from a model's hidden states, as they are trained and stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from implementations.decoding._layers import new_module

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from implementations.decoding._config import Config
    from implementations.decoding._layers import Medusa, Module, Parallel


@dataclass(frozen=True)
class Heads:
    """Trained heads, and what is known of them.

    Attributes:
        module: the layers.
        vocabulary: the tokens that are guessed, in ascending order.
        rates: how often the r-th likeliest guess at each depth was right, (depths, ranks), on texts to choose by.
        training: what they were trained on, for how long, and with what seed.
    """

    module: Medusa | Parallel | Module
    vocabulary: Tensor
    rates: Tensor
    training: dict[str, Any]

    def known(self) -> dict[str, float]:
        """Return how many parameters there are, and what their training took."""
        known = {"draft_parameters": float(sum(parameter.numel() for parameter in self.module.parameters()))}
        flops = float(self.training.get("training_flops", 0))
        return known | ({"training_flops": flops} if flops else {})


def write_heads(path: Path, method: str, heads: Heads) -> None:
    """Write heads in bfloat16, at once."""
    from safetensors.torch import save_file

    tensors = {name: tensor.detach().bfloat16().contiguous() for name, tensor in heads.module.state_dict().items()}
    tensors |= {"vocabulary": heads.vocabulary.int(), "rates": heads.rates.float()}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    save_file(tensors, partial, {"method": method, "training": json.dumps(heads.training)})
    partial.replace(path)


def read_heads(path: Path, method: str, config: Config) -> Heads:
    """Read heads.

    Raises:
        ValueError: they are of another method, or of a model of another shape.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as held:
        said = held.metadata()
        tensors = {name: held.get_tensor(name).clone() for name in held.keys()}  # noqa: SIM118 -- no mapping
    if said["method"] != method:
        raise ValueError(f"{path} has heads of {said['method']}, not of {method}")
    vocabulary, rates = tensors.pop("vocabulary").long(), tensors.pop("rates")
    module = new_module(method, config)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(f"{path} is of a model of another shape: {error}") from None
    return Heads(module, vocabulary, rates, json.loads(said["training"]))


def chosen_tree(rates: Sequence[Sequence[float]], nodes: int) -> list[tuple[int, ...]]:
    """Return the places of a tree, each as the ranks of the guesses on its path; parents come first.

    A place is worth the product of the rates on its path, which is how often all of them are right if each is by
    itself; the expected length of what is kept is the sum over the tree (Cai et al. 2024, section 2.3.3).
    """
    chosen: list[tuple[int, ...]] = []
    reachable: dict[tuple[int, ...], float] = {(rank,): rate for rank, rate in enumerate(rates[0])}
    while len(chosen) < nodes and reachable:
        best = max(reachable, key=lambda path: reachable[path])
        worth = reachable.pop(best)
        chosen.append(best)
        if len(best) < len(rates):
            reachable |= {(*best, rank): worth * rate for rank, rate in enumerate(rates[len(best)])}
    return chosen
