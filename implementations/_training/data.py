"""What models are trained on: the sources of Python's standard library, and images and vectors that are made."""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from implementations._training.shapes import CLASSES, PIXELS, Shape

if TYPE_CHECKING:
    from torch import Tensor

_TEXT_BYTES = 4 << 20
_COARSE = 8  # pixels of a side of a kind's picture before it is made smooth


def draw_batches(shape: Shape, count: int, batch: int, seq: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Draw batches for a model and their labels, each with a leading dimension of ``count``.

    Images and vectors of a kind are one picture, drawn from N(0, 1) and for images coarse and made smooth, with noise
    from N(0, 1) on top of it, at half the power.
    """
    if shape.model == "gpt":
        text = standard_library()
        starts = torch.randint(len(text) - seq, (count, batch, 1), generator=generator)
        pieces = text[starts + torch.arange(seq + 1)].long()
        return pieces[..., :-1].contiguous(), pieces[..., 1:].contiguous()
    labels = torch.randint(CLASSES, (count, batch), generator=generator)
    if shape.model == "mlp":
        pictures = torch.randn(CLASSES, shape.width, generator=generator)
    else:
        coarse = torch.randn(CLASSES, 3, _COARSE, _COARSE, generator=generator)
        pictures = torch.nn.functional.interpolate(coarse, (PIXELS, PIXELS), mode="bilinear")
    chosen = pictures[labels]
    return (chosen + torch.randn(chosen.shape, generator=generator)) * 0.5**0.5, labels


@cache
def standard_library() -> Tensor:
    """Return the first 4 MiB of the sources of Python's standard library, in the order of their names, as bytes.

    They are on every machine that runs this, and as real a text as any. Another version of Python has another text:
    losses are comparable within a run.
    """
    folder, text = Path(sysconfig.get_paths()["stdlib"]), bytearray()
    for path in sorted(folder.glob("*.py")):
        text += path.read_bytes()
        if len(text) >= _TEXT_BYTES:
            break
    return torch.frombuffer(text, dtype=torch.uint8)[:_TEXT_BYTES]
