"""What ``bench heads train`` does: texts of the model's own once, then the heads of a method."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from implementations.decoding._places import places_of_heads

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from implementations.decoding._heads import Heads
    from implementations.decoding._source import Checkpoint

    Tell = Callable[[float, str], None]

# Of the budget, what texts may take; every method learns from the same.
_TEXTS = 0.5


def train_heads(method: str, model: str, seed: int, budget_s: float, resume: bool, tell: Tell) -> Path:
    """Train heads for a model, and return the file that they are in.

    Texts are kept, and those of an earlier or an interrupted training with the same model and seed are gone on with:
    all methods learn from the same texts, where they have the same budget.

    Args:
        method: whose heads.
        model: as the axis names it.
        seed: of texts and of training.
        budget_s: time to take, half of it for texts.
        resume: go on from what an interrupted training has kept, or else from the heads there are.
        tell: told the share that is over, and what of.

    Raises:
        OSError: the model cannot be had.
        ValueError: it is of another family, or there is nothing to go on from.
    """
    from implementations.decoding._source import checkpoint, parse_model

    parse_model(model)  # a name that is none is refused before torch is imported
    from implementations.decoding._heads import read_heads, write_heads
    from implementations.decoding._learn import Training
    from implementations.decoding._model import Llama

    known = checkpoint(model)
    places = places_of_heads(model, method)
    unfinished = places[0].with_suffix(".unfinished.safetensors")
    begun = next((path for path in (unfinished, *places) if path.is_file()), None) if resume else None
    if resume and not begun:
        raise ValueError(f"there are no heads of {method} to go on from")
    before = read_heads(begun, method, known.config) if begun else None
    trained = Llama(known.config, known.weights(), torch.bfloat16)
    file = places[0].with_name(f"{places[0].stem.removesuffix(f'-{method}')}-texts-{seed}.pt")
    texts = _texts(trained, known, file, seed, _TEXTS * budget_s, lambda share, what: tell(_TEXTS * share, what))
    texts_s = round(texts["spent_s"], 1)
    if before and seed not in before.training["seeds"]:
        texts_s += before.training["texts_s"]
    training = Training(trained, method, texts["lessons"], texts["choosing"], seed, before)

    def keep(heads: Heads) -> None:
        heads.training.update(model=model, texts_s=texts_s, threads=torch.get_num_threads())
        write_heads(unfinished, method, heads)

    rest = 1 - _TEXTS
    training.run(rest * budget_s, lambda share, what: tell(_TEXTS + rest * share, what), keep)
    unfinished.replace(places[0])
    return places[0]


def _texts(model: Any, known: Checkpoint, file: Path, seed: int, budget_s: float, tell: Tell) -> dict[str, Any]:
    """Return the texts that there are, with more where there is time left for them."""
    from implementations.decoding._distil import Teacher

    empty: dict[str, Any] = {"lessons": [], "choosing": [], "spent_s": 0.0, "rounds": 0}
    texts = torch.load(file, weights_only=True) if file.is_file() else empty
    teacher = Teacher(model, known.tokenizer)
    while texts["spent_s"] < budget_s:
        tell(texts["spent_s"] / budget_s, f"{len(texts['lessons'])} texts")
        started = time.monotonic()
        lessons, choosing = teacher.round(f"{seed}/{texts['rounds']}")
        texts["lessons"] += lessons
        texts["choosing"] += choosing
        texts["rounds"] += 1
        texts["spent_s"] += time.monotonic() - started
        file.parent.mkdir(parents=True, exist_ok=True)
        torch.save(texts, partial := file.with_suffix(".partial"))
        partial.replace(file)
    return texts
