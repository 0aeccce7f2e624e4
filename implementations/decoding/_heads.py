"""Heads that guess from a model's hidden states, as they are trained and stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 -- as everywhere

from implementations.decoding._model import rms_norm, turned
from implementations.decoding._places import EAGLE3, MEDUSA

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from implementations.decoding._config import Config
    from implementations.decoding._model import Llama

# Tokens ahead of the next one that Medusa's heads guess.
_AHEAD = 3


def states_of(method: str, layers: int) -> tuple[int, ...]:
    """Return the hidden states that a method reads, as the model numbers them: the last, or two lower ones besides."""
    return (layers // 4, layers // 2, layers) if method == EAGLE3 else (layers,)


class Medusa(nn.Module):
    """Residual layers, each of which turns a state into that of a later token (Cai et al. 2024, section 2.1.1).

    They begin as the identity, and share the model's own output layer, which stays as it is.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(config.width, config.width) for _ in range(_AHEAD))
        for layer in self.layers:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def begin_like(self, model: Llama) -> None:
        """Begin as the identity, which it is already."""

    def forward(self, state: Tensor) -> Tensor:
        """Return the states that guess one, two ... tokens after the next: (..., width) to (heads, ..., width)."""
        return torch.stack([state + F.silu(layer(state)) for layer in self.layers])


class Norm(nn.Module):
    """RMSNorm in the dtype of what it is given, whose weights may be in another."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self._eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        """Divide by the root of the mean square."""
        return rms_norm(x, self.weight.to(x.dtype), self._eps)


class Module(nn.Module):
    """One block that maps a feature and the token after it to the next feature, guess after guess.

    With ``mtp_deepseek`` both are normed and projected to what the block reads (DeepSeek-AI 2024, section 2.2); with
    ``eagle3`` the block attends with both side by side, and adds to the feature, which is made of the states of three
    layers (Li et al. 2025, section 3.1). Embedding and output layer are the model's own.
    """

    def __init__(self, config: Config, method: str) -> None:
        super().__init__()
        width, heads = config.width, config.heads + 2 * config.kv_heads
        self.config, self.method = config, method
        self.fuse = nn.Linear(3 * width, width, bias=False) if method == EAGLE3 else nn.Identity()
        self.enter = nn.Identity() if method == EAGLE3 else nn.Linear(2 * width, width, bias=False)
        read = 2 * width if method == EAGLE3 else width
        norms = ("token", "feature", "inner", "out", *(() if method == EAGLE3 else ("block",)))
        self.norms = nn.ModuleDict({name: Norm(width, config.eps) for name in norms})
        self.qkv = nn.Linear(read, heads * config.head_dim, bias=False)
        self.merge = nn.Linear(config.heads * config.head_dim, width, bias=False)
        self.gate, self.up = (nn.Linear(width, config.inner, bias=False) for _ in range(2))
        self.down = nn.Linear(config.inner, width, bias=False)

    def begin_like(self, model: Llama) -> None:
        """Begin as what passes the model's last state on, at its own size, so that only the difference is learnt."""
        width = self.config.width
        with torch.no_grad():
            layer = self.fuse if self.method == EAGLE3 else self.enter
            layer.weight.mul_(0.1)[:, -width:] += torch.eye(width)
            for name in ("merge", "down"):
                getattr(self, name).weight.mul_(0.1)
            self.norms["out"].weight.fill_(model.norm.float().square().mean().sqrt())

    def feature(self, states: Sequence[Tensor]) -> Tensor:
        """Return the feature of the hidden states that the method reads."""
        return self.fuse(torch.cat(list(states), -1))

    def entered(self, token: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Return what attention reads of an embedded token and a feature, and what it is added to."""
        both = torch.cat((self.norms["token"](token), self.norms["feature"](feature)), -1)
        if self.method == EAGLE3:
            return both, feature
        x = self.enter(both)
        return self.norms["block"](x), x

    def left(self, seen: Tensor, residual: Tensor) -> Tensor:
        """Return the next feature: what attention has seen, and an MLP, added."""
        x = residual + self.merge(seen)
        inner = self.norms["inner"](x)
        return x + self.down(F.silu(self.gate(inner)) * self.up(inner))

    def forward(self, tokens: Sequence[Tensor], feature: Tensor, model: Llama) -> list[Tensor]:
        """Guess several tokens from each place of texts, each from the features guessed before it.

        Training goes through the same chain that drafting does (Li et al. 2025, section 3.2): the guess at depth d sees
        the true features up to where its chain begins, and those that the chain itself has made.

        Args:
            tokens: for each depth, embedded, those that follow each place by one more: (batch, places, width).
            feature: the true ones, (batch, places, width).
            model: whose positions they have.

        Returns:
            for each depth, what the output layer reads: (batch, places, width).
        """
        held: list[tuple[Tensor, Tensor]] = []
        outputs = []
        for depth, token in enumerate(tokens):
            read, residual = self.entered(token, feature)
            q, *pair = self._turned(self.qkv(read), model.turn(torch.arange(depth, depth + read.shape[1])))
            held.append((pair[0], pair[1]))
            feature = self.left(_seen(q, held), residual)
            outputs.append(self.norms["out"](feature))
        return outputs

    def _turned(self, x: Tensor, turn: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        """Return queries, keys and values by head, turned to their places: (batch, heads, places, head_dim)."""
        config = self.config
        x = turned(x.unflatten(-1, (-1, config.head_dim)), *turn).transpose(1, 2)
        q, k, v = x.split((config.heads, config.kv_heads, config.kv_heads), 1)
        group = config.heads // config.kv_heads
        return q, k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)


def _seen(q: Tensor, held: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Attend to the true features up to each place, and to the features of its own chain."""
    (keys, values), *chain = held
    places = q.shape[2]
    future = torch.ones(places, places, dtype=torch.bool, device=q.device).triu(1)
    scores = [(q @ keys.transpose(2, 3)).masked_fill(future, -torch.inf)]
    scores += [(q * key).sum(-1, keepdim=True) for key, _ in chain]
    weights = torch.softmax(torch.cat(scores, -1).float() * q.shape[-1] ** -0.5, -1).to(q.dtype)
    seen = weights[..., :places] @ values
    for index, (_, value) in enumerate(chain):
        seen = seen + weights[..., places + index, None] * value
    return seen.transpose(1, 2).flatten(2)


@dataclass(frozen=True)
class Heads:
    """Trained heads, and what is known of them.

    Attributes:
        module: the layers.
        vocabulary: the tokens that are guessed, in ascending order.
        rates: how often the r-th likeliest guess at each depth was right, (depths, ranks), on texts to choose by.
        training: what they were trained on, for how long, and with what seed.
    """

    module: nn.Module
    vocabulary: Tensor
    rates: Tensor
    training: dict[str, Any]


def new_module(method: str, config: Config) -> nn.Module:
    """Return the layers of a method before they are trained."""
    return Medusa(config) if method == MEDUSA else Module(config, method)


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
    reachable = {(rank,): rate for rank, rate in enumerate(rates[0])}
    while len(chosen) < nodes and reachable:
        best = max(reachable, key=lambda path: reachable[path])
        worth = reachable.pop(best)
        chosen.append(best)
        if len(best) < len(rates):
            reachable |= {(*best, rank): worth * rate for rank, rate in enumerate(rates[len(best)])}
    return chosen
