"""Layers that guess from a model's hidden states, as they are trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 -- as everywhere

from implementations.decoding._model import rms_norm, turned
from implementations.decoding._places import EAGLE, EAGLE3, MEDUSA, META, MTP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from implementations.decoding._config import Config
    from implementations.decoding._model import Llama

# Tokens that are guessed ahead of the next one.
AHEAD = 3

# What is normed, by method: what a block takes in and reads, what its MLP reads, and what the output layer reads.
_NORMS = {
    META: ("block", "inner", "out"),
    MTP: ("token", "feature", "block", "inner", "out"),
    EAGLE: ("inner",),
    EAGLE3: ("token", "feature", "inner", "out"),
}


def states_of(method: str, layers: int) -> tuple[int, ...]:
    """Return the hidden states that a method reads, as the model numbers them: the last, or two lower ones besides."""
    return (layers // 4, layers // 2, layers) if method == EAGLE3 else (layers,)


class Guessing(Protocol):
    """What is trained."""

    def begin_like(self, model: Llama) -> None:
        """Begin as what passes the model's last state on, so that only the difference is learnt."""

    def outputs(self, tokens: Sequence[Tensor], states: Sequence[Tensor], model: Llama) -> list[Tensor]:
        """Return for each guess ahead what the output layer reads, at each place of texts: (batch, places, width).

        Args:
            tokens: for each guess, embedded, those that follow each place by one more: (batch, places, width).
            states: the hidden states that the method reads, each (batch, places, width).
            model: whose positions they have.
        """


def new_module(method: str, config: Config) -> Medusa | Parallel | Module:
    """Return the layers of a method before they are trained."""
    if method == MEDUSA:
        return Medusa(config)
    return Parallel(config) if method == META else Module(config, method)


class Medusa(nn.Module):
    """Residual layers, each of which turns a state into that of a later token (Cai et al. 2024, section 2.1.1).

    They begin as the identity, and share the model's own output layer, which stays as it is.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        layers = [nn.Linear(config.width, config.width) for _ in range(AHEAD)]
        for layer in layers:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.layers = nn.ModuleList(layers)

    def begin_like(self, model: Llama) -> None:
        """Begin as the identity, which it is already."""

    def forward(self, state: Tensor) -> Tensor:
        """Return the states that guess one, two ... tokens after the next: (..., width) to (heads, ..., width)."""
        return torch.stack([state + F.silu(layer(state)) for layer in self.layers])

    def outputs(self, tokens: Sequence[Tensor], states: Sequence[Tensor], model: Llama) -> list[Tensor]:
        """Guess from the state alone."""
        return list(self(states[0]))


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
    ``eagle`` they are projected as they are, and the next feature is to be the model's own next state (Li et al. 2024,
    section 3.1); with ``eagle3`` the block attends with both side by side, and adds to the feature, which is made of
    the states of three layers (Li et al. 2025, section 3.1); with ``mtp_meta`` it reads no token. Embedding and output
    layer are the model's own.
    """

    def __init__(self, config: Config, method: str) -> None:
        super().__init__()
        width, heads = config.width, config.heads + 2 * config.kv_heads
        self.config, self.method = config, method
        self.fuse = nn.Linear(3 * width, width, bias=False) if method == EAGLE3 else nn.Identity()
        self.enter = nn.Linear(2 * width, width, bias=False) if method in (MTP, EAGLE) else nn.Identity()
        places = ("token", "feature", "block", "inner", "out")
        normed = {name: Norm(width, config.eps) if name in _NORMS[method] else nn.Identity() for name in places}
        self.norms = nn.ModuleDict(normed)
        read = 2 * width if method == EAGLE3 else width
        self.qkv = nn.Linear(read, heads * config.head_dim, bias=False)
        self.merge = nn.Linear(config.heads * config.head_dim, width, bias=False)
        self.gate, self.up = (nn.Linear(width, config.inner, bias=False) for _ in range(2))
        self.down = nn.Linear(config.inner, width, bias=False)

    def begin_like(self, model: Llama) -> None:
        """Begin as what passes the model's last state on, at its own size."""
        width = self.config.width
        with torch.no_grad():
            for layer in (self.fuse, self.enter):
                if isinstance(layer, nn.Linear):
                    layer.weight.mul_(0.1)[:, -width:] += torch.eye(width)
            for layer in (self.merge, self.down):
                layer.weight.mul_(0.1)
            if isinstance(self.norms["out"], Norm):
                self.norms["out"].weight.fill_(model.norm.float().square().mean().sqrt())

    def feature(self, states: Sequence[Tensor]) -> Tensor:
        """Return the feature of the hidden states that the method reads."""
        return self.fuse(torch.cat(list(states), -1))

    def entered(self, token: Tensor, feature: Tensor) -> tuple[Tensor, Tensor]:
        """Return what attention reads of an embedded token and a feature, and what it is added to."""
        both = torch.cat((self.norms["token"](token), self.norms["feature"](feature)), -1)
        if self.method == EAGLE3:
            return both, feature
        x = feature if self.method == META else self.enter(both)
        return self.norms["block"](x), x

    def left(self, seen: Tensor, residual: Tensor) -> Tensor:
        """Return the next feature: what attention has seen, and an MLP, added."""
        x = residual + self.merge(seen)
        inner = self.norms["inner"](x)
        return x + self.down(F.silu(self.gate(inner)) * self.up(inner))

    def outputs(self, tokens: Sequence[Tensor], states: Sequence[Tensor], model: Llama) -> list[Tensor]:
        """Guess several tokens from each place of texts, each from the features guessed before it.

        Training goes through the same chain that drafting does (Li et al. 2025, section 3.2): the guess at depth d sees
        the true features up to where its chain begins, and those that the chain itself has made.
        """
        feature = self.feature(states)
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


class Parallel(nn.Module):
    """Blocks beside each other on the model's last states, each of which guesses a token further.

    This is multi-token prediction as Gloeckle et al. (2024, section 2) have it, but that the model stays as it is.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Module(config, META) for _ in range(AHEAD))

    @property
    def in_order(self) -> list[Module]:
        """The blocks by the token that each drafts; a ModuleList does not say of which type they are."""
        return [block for block in self.blocks if isinstance(block, Module)]

    def begin_like(self, model: Llama) -> None:
        """Begin as what passes the model's last state on."""
        for block in self.in_order:
            block.begin_like(model)

    def outputs(self, tokens: Sequence[Tensor], states: Sequence[Tensor], model: Llama) -> list[Tensor]:
        """Guess from the states alone."""
        return [block.outputs(tokens[:1], states, model)[0] for block in self.in_order]


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
