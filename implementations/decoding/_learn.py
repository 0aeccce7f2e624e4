"""Training of heads on texts of the model's own."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F  # noqa: N812 -- as everywhere

from implementations.decoding._engine import Engine
from implementations.decoding._heads import Heads, Medusa, new_module, states_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor, nn

    from implementations.decoding._distil import Lesson
    from implementations.decoding._model import Llama

# Tokens that may be guessed: the most frequent of the answers. A guess reads that part of the output layer alone.
_GUESSABLE = 8192
_DEPTHS = 3  # guesses of a chain in training
_DECAY = 0.8  # of the weight of a guess with its depth (Cai et al. 2024; Li et al. 2025)
_RATE, _WARM_UP, _CLIP = 1e-3, 0.03, 1.0
_TOKENS = 1024  # of a batch, padding included
_RANKS = 10
# Of the budget, so that the last step and what is measured after it still fit.
_SPARE = 0.95


@dataclass(frozen=True)
class Read:
    """What heads learn from, of one text.

    Attributes:
        tokens: the text.
        begin: where the answer begins.
        states: the hidden states that the method reads, each (tokens, width), the model's last one at the end.
    """

    tokens: Tensor
    begin: int
    states: list[Tensor]


def read_lessons(model: Llama, lessons: Sequence[Lesson], method: str) -> list[Read]:
    """Pass texts through the model, and keep the states that a method reads."""
    wanted = states_of(method, len(model.blocks))
    longest = max(len(text) for text, _ in lessons)
    engine = Engine(model, 1, longest)
    found = []
    for text, begin in lessons:
        states = [state[0].clone() for state in engine.prefill([text], wanted).hidden]
        found.append(Read(torch.tensor(text), begin, states))
    return found


def train(
    model: Llama,
    method: str,
    lessons: Sequence[Lesson],
    choosing: Sequence[Lesson],
    seed: int,
    budget_s: float,
    tell: Callable[[float, str], None],
) -> Heads:
    """Train the heads of a method until the time is up.

    What is learnt is the model's own distribution after each token of an answer, over the tokens that may be guessed.

    Args:
        model: in the dtype that products are taken in.
        method: whose heads.
        lessons: texts to learn from.
        choosing: texts of other kinds, to find out how often guesses are right.
        seed: of the order of texts, and of the first weights.
        budget_s: time to take.
        tell: told the share of it that is over, and the loss.
    """
    torch.manual_seed(seed)
    module = new_module(method, model.config)
    module.begin_like(model)
    optimizer = torch.optim.AdamW(module.parameters(), _RATE, (0.9, 0.95), weight_decay=0.01)
    vocabulary = _guessable(lessons, model.config.vocabulary)
    head = model.unembedding[vocabulary]
    reads, started, steps, loss = read_lessons(model, lessons, method), time.monotonic(), 0, math.nan
    for batch in _batches(reads, seed):
        share = (time.monotonic() - started) / (_SPARE * budget_s)
        if share >= 1:
            break
        for group in optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, share / _WARM_UP + 1e-2) * (0.5 + 0.5 * math.cos(math.pi * share))
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=model.dtype == torch.bfloat16):
            weighted = [_DECAY**depth * one for depth, one in enumerate(_losses(model, module, head, batch))]
        total = torch.stack(weighted).sum()
        total.backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), _CLIP)
        optimizer.step()
        steps, loss = steps + 1, total.item()
        tell(share, f"step {steps}, loss {loss:.3f}")
    rates = _rates(model, module, vocabulary, read_lessons(model, choosing, method))
    known = {
        "seed": seed,
        "steps": steps,
        "texts": len(lessons),
        "answer_tokens": sum(len(text) - begin for text, begin in lessons),
        "training_s": round(time.monotonic() - started, 1),
        "loss": loss,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
    }
    return Heads(module, vocabulary, rates, known)


def _outputs(model: Llama, module: nn.Module, states: Sequence[Tensor], tokens: Tensor) -> list[Tensor]:
    """Return what the output layer reads for the guess at each depth.

    At a place t the model's state says token t + 1, and the guess at depth d is token t + 2 + d.
    """
    if isinstance(module, Medusa):
        return list(module(states[0]))
    following = [F.pad(tokens[:, depth + 1 :], (0, depth + 1)) for depth in range(_DEPTHS)]
    return list(module([F.embedding(one, model.embedding) for one in following], module.feature(states), model))


def _losses(model: Llama, module: nn.Module, head: Tensor, batch: list[Read]) -> list[Tensor]:
    """Return the cross-entropy with the model's own distribution at each depth, over the answers."""
    tokens, states, answers = _padded(batch)
    with torch.no_grad():
        truth = torch.softmax(F.linear(states[-1][answers], head).float(), -1)
    losses = []
    for depth, output in enumerate(_outputs(model, module, states, tokens)):
        # The guess at place t is held against what the model says at place t + 1 + depth.
        guess = F.linear(output[:, : -depth - 1][answers[:, depth + 1 :]].to(head.dtype), head).float()
        losses.append((guess.logsumexp(-1) - (truth * guess).sum(-1)).mean())
    return losses


def _padded(batch: Sequence[Read]) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return tokens, states, and at which places the model says a token of an answer."""
    longest = max(len(one.tokens) for one in batch)
    tokens = torch.stack([F.pad(one.tokens, (0, longest - len(one.tokens))) for one in batch])
    states = [
        torch.stack([F.pad(one.states[index], (0, 0, 0, longest - len(one.tokens))) for one in batch])
        for index in range(len(batch[0].states))
    ]
    places = torch.arange(longest)
    begins = [max(one.begin - 1, _DEPTHS) for one in batch]  # so that there are places to guess from at every depth
    ends = [len(one.tokens) - 1 for one in batch]
    answers = torch.stack([(places >= begin) & (places < end) for begin, end in zip(begins, ends, strict=True)])
    return tokens, states, answers


def _batches(reads: Sequence[Read], seed: int) -> Iterator[list[Read]]:
    """Yield batches of texts of like length, in an order of chance, for ever."""
    generator = torch.Generator().manual_seed(seed)
    ordered = sorted(reads, key=lambda one: len(one.tokens))
    batches: list[list[Read]] = [[]]
    for one in ordered:
        if len(batches[-1]) * len(one.tokens) >= _TOKENS:
            batches.append([])
        batches[-1].append(one)
    while True:
        yield from (batches[index] for index in torch.randperm(len(batches), generator=generator).tolist())


def _guessable(lessons: Sequence[Lesson], vocabulary: int) -> Tensor:
    counts = torch.zeros(vocabulary)
    for text, begin in lessons:
        counts += torch.bincount(torch.tensor(text[begin:]), minlength=vocabulary)
    # Of those that never occur the first are taken: a byte-pair vocabulary is in the order of frequency.
    order = torch.argsort(counts, descending=True, stable=True)
    return order[: min(_GUESSABLE, vocabulary)].sort().values


def _rates(model: Llama, module: nn.Module, vocabulary: Tensor, reads: Sequence[Read]) -> Tensor:
    """Return how often the r-th likeliest guess at each depth is the text's token, where those before are right."""
    head = model.unembedding[vocabulary]
    hits, seen = torch.zeros(_DEPTHS, _RANKS), torch.zeros(_DEPTHS, 1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=model.dtype == torch.bfloat16):
        for one in reads:
            tokens, states, answers = _padded([one])
            for depth, output in enumerate(_outputs(model, module, states, tokens)):
                counted = answers[:, depth + 1 :]
                logits = F.linear(output[:, : -depth - 1][counted].to(head.dtype), head)
                guesses = vocabulary[logits.topk(_RANKS).indices]
                right = tokens[:, depth + 2 :][counted[:, : tokens.shape[1] - depth - 2]]
                hits[depth] += (guesses[: len(right)] == right[:, None]).sum(0)
                seen[depth] += len(right)
    return hits / seen.clamp(min=1)
