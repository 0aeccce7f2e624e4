"""The loop that all methods share: guess, verify, keep, count."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

from implementations.decoding._acceptance import accept_greedily, accept_sampled
from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from implementations.decoding._engine import Engine, Passed

    # From the probabilities of tokens after each node, a tree and chance, to the path that is kept and the next token.
    Accepted = Callable[[torch.Tensor, Tree, torch.Generator], tuple[list[int], int]]

Texts = list[list[int]]


class Drafter(Protocol):
    """What guesses how texts go on.

    Attributes:
        hidden: the hidden states that it wants of each pass, as the model numbers them.
    """

    hidden: Sequence[int]

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Take texts up, of which all but the last token were prefilled."""

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Guess how each text goes on, in a tree no deeper than its room; the root is the text's last token."""

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Take note of what a pass has shown, and of the nodes that were kept."""


class NoDrafter:
    """Guesses nothing: autoregressive decoding."""

    hidden: Sequence[int] = ()

    def begin(self, texts: Texts, passed: Passed) -> None:
        """Do nothing."""

    def propose(self, texts: Texts, room: Sequence[int]) -> list[Tree]:
        """Return the last token of each text alone."""
        return [Tree.chain(text[-1]) for text in texts]

    def learn(self, trees: Sequence[Tree], paths: Sequence[Sequence[int]], passed: Passed) -> None:
        """Do nothing."""


@dataclass(frozen=True)
class Limits:
    """When a text ends: after so many new tokens, or with one of those that end it."""

    new_tokens: int
    eos: tuple[int, ...]

    def room(self, made: Sequence[int]) -> int:
        """Return how many tokens a text may still get."""
        return 0 if made and made[-1] in self.eos else self.new_tokens - len(made)

    def cut(self, made: Sequence[int], added: Sequence[int]) -> list[int]:
        """Return those of the tokens added that the text still takes."""
        end = next((index + 1 for index, token in enumerate(added) if token in self.eos), len(added))
        return list(added[: min(end, self.room(made))])


@dataclass
class Counts:
    """What happened while texts were made; one way of counting for all methods.

    Attributes:
        passes: of the model over each text that was not at its end, prefills aside; a batch of two counts twice.
        rounds: passes of the model, prefills aside, whatever the batch.
        nodes: that were verified, roots aside.
        made: tokens, the first of each text, which a prefill gives, aside.
        kept: by position after the root, how often a guess was kept.
        first_token_s: from the beginning until the first token of each text of a batch is known.
        draft_s: taken by guesses, without what begins them.
        total_s: taken by everything but prefills and what begins guessing.
    """

    passes: int = 0
    rounds: int = 0
    nodes: int = 0
    made: int = 0
    kept: list[int] = field(default_factory=list)
    first_token_s: list[float] = field(default_factory=list)
    draft_s: float = 0.0
    total_s: float = 0.0

    def count(self, tree: Tree, added: int) -> None:
        """Count a pass over one text that added some tokens, all but one of which were guessed."""
        self.passes += 1
        self.nodes += len(tree.tokens) - 1
        self.made += added
        self.kept += [0] * (max(tree.depths) - len(self.kept))
        for position in range(min(added, len(self.kept))):
            self.kept[position] += position < added - 1


class Sampler:
    """Chooses tokens: the likeliest, or at a temperature above zero by chance.

    Args:
        temperature: that logits are divided by.
        seed: of chance.
        accepted: which guesses are kept at a temperature above zero.
    """

    def __init__(self, temperature: float, seed: int, accepted: Accepted = accept_sampled) -> None:
        self.temperature, self.generator = temperature, torch.Generator().manual_seed(seed)
        self._accepted = accepted

    def accept(self, passed: Passed, trees: Sequence[Tree]) -> list[tuple[list[int], int]]:
        """Return for each row the path of nodes that are kept, and the token after it."""
        if not self.temperature:
            following = passed.logits.max(-1).indices.tolist()  # argmax takes four times as long in bfloat16
            return [accept_greedily(row, tree) for row, tree in zip(following, trees, strict=True)]
        probabilities = self.probabilities(passed.logits)
        return [self._accepted(row, tree, self.generator) for row, tree in zip(probabilities, trees, strict=True)]

    def draw(self, logits: torch.Tensor) -> tuple[int, torch.Tensor | None]:
        """Return a token, and the distribution that it was drawn from; None where it is the likeliest."""
        if not self.temperature:
            return int(logits.argmax()), None
        given = self.probabilities(logits)
        return int(torch.multinomial(given, 1, generator=self.generator)), given

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return what the temperature makes of logits."""
        return torch.softmax(logits.float() / self.temperature, -1).cpu()


@dataclass
class Decoding:
    """Prompts that are continued together.

    Attributes:
        made: the new tokens of each.
        texts: the prompts with their new tokens.
    """

    engine: Engine
    drafter: Drafter
    sampler: Sampler
    limits: Limits
    counts: Counts
    made: Texts = field(default_factory=list)
    texts: Texts = field(default_factory=list)

    def begin(self, prompts: Sequence[Sequence[int]]) -> None:
        """Prefill prompts, and take the first token of each."""
        started = time.perf_counter()
        passed = self.engine.prefill(prompts, self.drafter.hidden)
        first = self.sampler.accept(passed, [Tree.chain(0)] * len(prompts))
        self.made = [self.limits.cut([], [token]) for _, token in first]
        self.texts = [[*prompt, *new] for prompt, new in zip(prompts, self.made, strict=True)]
        self.counts.first_token_s.append(time.perf_counter() - started)
        self.drafter.begin(self.texts, passed)

    def advance(self, room: Sequence[int]) -> None:
        """Guess, pass the guesses through the model, and keep what is right."""
        with self._drafting():
            trees = self.drafter.propose(self.texts, [max(left - 1, 0) for left in room])
        passed = self.engine.verify(trees, self.drafter.hidden)
        self.counts.rounds += 1
        found = self.sampler.accept(passed, trees)
        paths = [self._take(row, tree, *kept) for row, (tree, kept) in enumerate(zip(trees, found, strict=True))]
        self.engine.keep(paths)
        with self._drafting():
            self.drafter.learn(trees, paths, passed)

    def _take(self, row: int, tree: Tree, path: list[int], token: int) -> list[int]:
        """Add a path and the token after it to a text that is not at its end, and return what of the path counts."""
        added = self.limits.cut(self.made[row], [*(tree.tokens[node] for node in path[1:]), token])
        if added:
            self.counts.count(tree, len(added))
        self.made[row] += added
        self.texts[row] += added
        return path[: len(added)]

    @contextmanager
    def _drafting(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self.counts.draft_s += time.perf_counter() - started


def decode(
    engine: Engine, prompts: Sequence[Sequence[int]], drafter: Drafter, sampler: Sampler, limits: Limits, counts: Counts
) -> Texts:
    """Continue prompts together until each is at its end, and return the new tokens of each."""
    decoding = Decoding(engine, drafter, sampler, limits, counts)
    decoding.begin(prompts)
    started = time.perf_counter()
    while any(room := [limits.room(new) for new in decoding.made]):
        decoding.advance(room)
    counts.total_s += time.perf_counter() - started
    return decoding.made
