"""Texts of a model's own, that its heads learn from: what it is asked, and what it answers."""

from __future__ import annotations

import ast
import random
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from implementations.decoding._decode import Counts, Limits, NoDrafter, Sampler, decode
from implementations.decoding._engine import Engine
from implementations.decoding._inputs import NODES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from implementations.decoding._model import Llama
    from implementations.decoding._tokenizer import Tokenizer

    # A text, and where in it the answer begins.
    Lesson = tuple[list[int], int]

# Texts that are made together: half answer questions of the model's own, and of the others a quarter is to choose by.
_BATCH = 48
_QUESTION, _ANSWER = 64, 160
# Characters of a passage, and tokens that it may come to at most with what is asked of it.
_PASSAGE, _ASKED = 400, 320
# What is asked of a passage of the standard library, to learn from and to choose by: other kinds of task, so that what
# is chosen is not fitted to what was learnt. The prompts that results are reported of are other texts again.
_TASKS = (
    "Summarize the following text in two sentences.\n\n{}",
    "Explain what this Python code does.\n\n{}",
    "Repeat the following text word for word.\n\n{}",
    "Rewrite this in simpler words.\n\n{}",
    "Translate the following text into French.\n\n{}",
    "Write a unit test for this function.\n\n{}",
    "Read the text and list its key points.\n\n{}",
    "Continue this code.\n\n{}",
)
_OTHER_TASKS = (
    "Write three questions about this text, and answer them.\n\n{}",
    "Fix the mistakes in this text, and return all of it.\n\n{}",
)


class Teacher:
    """A model that asks itself, and answers.

    Half of the questions are its own: given the beginning of a user's turn alone, a model that was tuned on
    conversations makes up what a user might ask (Xu et al. 2024, section 2). The others are tasks on passages of
    Python's standard library, which is on every machine. Answers are the likeliest tokens, as in greedy decoding.

    Args:
        model: that asks and answers.
        tokenizer: its.
    """

    def __init__(self, model: Llama, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._ends = tokenizer, model.config.eos
        self._opening, self._closing = _turn(tokenizer)
        longest = len(self._opening) + len(self._closing) + _QUESTION + _ASKED + _ANSWER + NODES
        self._asking, self._answering = Engine(model, _BATCH // 2, longest), Engine(model, _BATCH, longest)

    def round(self, seed: str) -> tuple[list[Lesson], list[Lesson]]:
        """Return some texts to learn from, and some of other kinds to choose by."""
        chance = random.Random(seed)
        passages = _passages(chance)
        others = _BATCH // 8
        tasks = [chance.choice(_OTHER_TASKS) for _ in range(others)]
        tasks += [chance.choice(_TASKS) for _ in range(_BATCH // 2 - others)]
        asked = [self._task(task, next(passages)) for task in tasks] + self._questions(chance)
        answers = self._continued(self._answering, asked, 0.0, chance, _ANSWER)
        found = [([*question, *answer], len(question)) for question, answer in zip(asked, answers, strict=True)]
        return found[others:], found[:others]

    def _questions(self, chance: random.Random) -> list[list[int]]:
        opening = self._opening or [chance.randrange(256)]
        made = self._continued(self._asking, [opening] * (_BATCH // 2), 1.0, chance, _QUESTION)
        said = [[token for token in question if token not in self._ends] for question in made]
        return [[*opening, *question, *self._closing] for question in said]

    def _task(self, task: str, passage: str) -> list[int]:
        """Return the tokens of a task on a passage, or on as much of it as there is room for."""
        while len(tokens := self._tokenizer.prompt(task.format(passage))) > _ASKED:
            passage = passage[: len(passage) * 3 // 4]
        return tokens

    def _continued(
        self, engine: Engine, prompts: Sequence[list[int]], temperature: float, chance: random.Random, new: int
    ) -> list[list[int]]:
        sampler = Sampler(temperature, chance.randrange(1 << 31))
        with torch.inference_mode():
            return decode(engine, prompts, NoDrafter(), sampler, Limits(new, self._ends), Counts())


def _turn(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    """Return the tokens before and after what a user says."""
    one, other = tokenizer.prompt("a"), tokenizer.prompt("Z")
    before = next(index for index, pair in enumerate(zip(one, other, strict=True)) if pair[0] != pair[1])
    return one[:before], one[before + 1 :]


def _passages(chance: random.Random) -> Iterator[str]:
    """Yield functions and docstrings of the standard library, in an order of chance, for ever."""
    files = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    while True:
        path = chance.choice(files)
        try:
            tree = ast.parse(source := path.read_text())
        except (SyntaxError, UnicodeDecodeError):
            continue
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        documented = [text for node in nodes if (text := ast.get_docstring(node)) and len(text) > 120]
        lines = source.encode().splitlines(keepends=True)
        functions = [_source_of(node, lines) for node in nodes if isinstance(node, ast.FunctionDef)]
        kinds = [texts for texts in (documented, [text for text in functions if len(text) > 120]) if texts]
        if kinds:
            yield chance.choice(chance.choice(kinds))[:_PASSAGE]


def _source_of(node: ast.FunctionDef, lines: Sequence[bytes]) -> str:
    """Return a function as it is written; ``ast.get_source_segment`` splits the whole file for each into lines."""
    first, end = node.lineno - 1, node.end_lineno or node.lineno
    behind = len(lines[end - 1]) - (node.end_col_offset or 0)
    return b"".join(lines[first:end])[node.col_offset : -behind or None].decode()
