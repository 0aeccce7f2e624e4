"""Training of heads on texts of the model's own."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F  # noqa: N812 -- as everywhere
from torch.utils.flop_counter import FlopCounterMode

from implementations.decoding._engine import Engine
from implementations.decoding._heads import Heads
from implementations.decoding._layers import AHEAD, new_module, states_of
from implementations.decoding._places import EAGLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor

    from implementations.decoding._distil import Lesson
    from implementations.decoding._layers import Guessing
    from implementations.decoding._model import Llama

    Lessons = Sequence[Lesson]

# Tokens that may be guessed: the most frequent of the answers. A guess reads that part of the output layer alone.
_GUESSABLE = 8192
_DECAY = 0.8  # of the weight of a guess with its depth (Cai et al. 2024; Li et al. 2025)
# EAGLE-1 learns the next state itself, and what it says with less weight, from states with noise (its published code).
_SAYING, _NOISE = 0.1, 0.1
_RATE, _WARM_UP, _CLIP = 1e-3, 0.03, 1.0
_TOKENS = 1024  # of a batch, padding included
_RANKS = 10
_MARKS = 8  # points of the curve of a training, at each of which what has been learnt is kept


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


def read_lessons(model: Llama, lessons: Lessons, method: str) -> list[Read]:
    """Pass texts through the model, and keep the states that a method reads."""
    wanted = states_of(method, len(model.blocks))
    longest = max(len(text) for text, _ in lessons)
    engine = Engine(model, 1, longest)
    found = []
    for text, begin in lessons:
        states = [state[0].clone() for state in engine.prefill([text], wanted).hidden]
        found.append(Read(torch.tensor(text), begin, states))
    return found


class Training:
    """Heads of a method that learn the model's own distribution after each token of an answer.

    Args:
        model: in the dtype that products are taken in.
        method: whose heads.
        lessons: texts to learn from.
        choosing: texts of other kinds, to find out how often guesses are right.
        seed: of the order of texts, and of the first weights.
        before: heads to go on from.
    """

    def __init__(
        self, model: Llama, method: str, lessons: Lessons, choosing: Lessons, seed: int, before: Heads | None = None
    ) -> None:
        torch.manual_seed(seed)
        self._model, self._method = model, method
        self.module = before.module if before else new_module(method, model.config)
        if not before:
            self.module.begin_like(model)
        self._vocabulary = before.vocabulary if before else _guessable(lessons, model.config.vocabulary)
        self._head = model.unembedding[self._vocabulary]
        self._optimizer = torch.optim.AdamW(self.module.parameters(), _RATE, (0.9, 0.95), weight_decay=0.01)
        self._reads, self._choosing = (read_lessons(model, texts, method) for texts in (lessons, choosing))
        self._known: dict[str, Any] = {
            **dict.fromkeys(("texts", "answer_tokens", "steps", "training_s", "training_flops"), 0),
            "seeds": [],
            "curve": [],
            "parameters": sum(parameter.numel() for parameter in self.module.parameters()),
            **(before.training if before else {}),
        }
        if seed not in self._known["seeds"]:
            self._known["seeds"] += [seed]
            self._known["texts"] += len(lessons)
            self._known["answer_tokens"] += sum(len(text) - begin for text, begin in lessons)
        self._batches = _batches(self._reads, seed)
        self._flops_per_token = self._counted()

    def run(self, budget_s: float, tell: Callable[[float, str], None], keep: Callable[[Heads], None]) -> None:
        """Train until the time is up, and have what has been learnt kept now and then, and at the end.

        Args:
            budget_s: time to take; what is measured between is not counted.
            tell: told the share of it that is over, and the loss.
            keep: given the heads as they are.
        """
        spent, marks, said = 0.0, 0, "begun"
        while marks < _MARKS:
            tell(share := spent / budget_s, said)
            started = time.monotonic()
            loss = self._step(min(share, 1.0))
            spent += (took := time.monotonic() - started)
            self._known["steps"] += 1
            self._known["training_s"] += took
            said = f"step {self._known['steps']}, loss {loss:.3f}"
            if spent * _MARKS >= (marks + 1) * budget_s:
                marks = int(spent * _MARKS / budget_s)
                keep(self._as_it_is())

    def _step(self, share: float) -> float:
        """Learn from a batch, with a rate that warms up and then falls to zero as a cosine."""
        batch = next(self._batches)
        self._known["training_flops"] += self._flops_per_token * sum(len(one.tokens) for one in batch)
        for group in self._optimizer.param_groups:
            group["lr"] = _RATE * min(1.0, share / _WARM_UP + 1e-2) * (0.5 + 0.5 * math.cos(math.pi * share))
        self._optimizer.zero_grad()
        loss = self._passed(batch)
        torch.nn.utils.clip_grad_norm_(self.module.parameters(), _CLIP)
        self._optimizer.step()
        return loss

    def _passed(self, batch: list[Read]) -> float:
        """Pass a batch forwards and backwards, and return the loss."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self._model.dtype == torch.bfloat16):
            weighted = [_DECAY**depth * one for depth, one in enumerate(self._losses(batch))]
        total = torch.stack(weighted).sum()
        total.backward()
        return total.item()

    def _counted(self) -> float:
        """Return the operations of products for a token, as a batch has them; counting takes longer than they do."""
        batch = next(self._batches)
        with FlopCounterMode(display=False) as counter:
            self._passed(batch)
        return counter.get_total_flops() / sum(len(one.tokens) for one in batch)

    def _losses(self, batch: list[Read]) -> list[Tensor]:
        """Return the cross-entropy with the model's own distribution at each depth, over the answers."""
        tokens, states, answers = _padded(batch)
        with torch.no_grad():
            truth = torch.softmax(F.linear(states[-1][answers], self._head).float(), -1)
        if self._method == EAGLE:
            noisy = [state + _NOISE * (2 * torch.rand_like(state) - 1) for state in states]
            (output,) = _outputs(self._model, self.module, noisy, tokens, 1)
            asked, given = answers[:, 1:], output[:, :-1]
            distance = F.smooth_l1_loss(given[asked].float(), states[-1][:, 1:][asked].float())
            return [distance + _SAYING * self._saying(given[asked], truth)]
        outputs = _outputs(self._model, self.module, states, tokens, AHEAD)
        # The guess at place t is held against what the model says at place t + 1 + depth.
        return [
            self._saying(output[:, : -depth - 1][answers[:, depth + 1 :]], truth)
            for depth, output in enumerate(outputs)
        ]

    def _saying(self, output: Tensor, truth: Tensor) -> Tensor:
        guess = F.linear(output.to(self._head.dtype), self._head).float()
        return (guess.logsumexp(-1) - (truth * guess).sum(-1)).mean()

    def _as_it_is(self) -> Heads:
        rates = _rates(self._model, self.module, self._vocabulary, self._choosing)
        self._known["curve"].append(
            [round(self._known["training_s"]), *(round(rate, 3) for rate in rates[:, 0].tolist())]
        )
        return Heads(self.module, self._vocabulary, rates, dict(self._known))


def _outputs(model: Llama, module: Guessing, states: Sequence[Tensor], tokens: Tensor, depths: int) -> list[Tensor]:
    """Return what the output layer reads for the guess at each depth.

    At a place t the model's state says token t + 1, and the guess at depth d is token t + 2 + d.
    """
    following = [F.pad(tokens[:, depth + 1 :], (0, depth + 1)) for depth in range(depths)]
    return module.outputs([F.embedding(one, model.embedding) for one in following], states, model)


def _padded(batch: Sequence[Read]) -> tuple[Tensor, list[Tensor], Tensor]:
    """Return tokens, states, and at which places the model says a token of an answer."""
    longest = max(len(one.tokens) for one in batch)
    tokens = torch.stack([F.pad(one.tokens, (0, longest - len(one.tokens))) for one in batch])
    states = [
        torch.stack([F.pad(one.states[index], (0, 0, 0, longest - len(one.tokens))) for one in batch])
        for index in range(len(batch[0].states))
    ]
    places = torch.arange(longest)
    begins = [max(one.begin - 1, AHEAD) for one in batch]  # so that there are places to guess from at every depth
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


def _guessable(lessons: Lessons, vocabulary: int) -> Tensor:
    counts = torch.zeros(vocabulary)
    for text, begin in lessons:
        counts += torch.bincount(torch.tensor(text[begin:]), minlength=vocabulary)
    # Of those that never occur the first are taken: a byte-pair vocabulary is in the order of frequency.
    order = torch.argsort(counts, descending=True, stable=True)
    return order[: min(_GUESSABLE, vocabulary)].sort().values


def _rates(model: Llama, module: Guessing, vocabulary: Tensor, reads: Sequence[Read]) -> Tensor:
    """Return how often the r-th likeliest guess at each depth is the text's token, where those before are right."""
    head = model.unembedding[vocabulary]
    hits, seen = torch.zeros(AHEAD, _RANKS), torch.zeros(AHEAD, 1)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=model.dtype == torch.bfloat16):
        for one in reads:
            tokens, states, answers = _padded([one])
            for depth, output in enumerate(_outputs(model, module, states, tokens, AHEAD)):
                counted = answers[:, depth + 1 :]
                logits = F.linear(output[:, : -depth - 1][counted].to(head.dtype), head)
                guesses = vocabulary[logits.topk(_RANKS).indices]
                right = tokens[:, depth + 2 :][counted[:, : tokens.shape[1] - depth - 2]]
                hits[depth] += (guesses[: len(right)] == right[:, None]).sum(0)
                seen[depth] += len(right)
    return hits / seen.clamp(min=1)
