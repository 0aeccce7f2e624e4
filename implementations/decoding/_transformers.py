"""A checkpoint as a model of transformers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implementations.decoding._config import write_config

if TYPE_CHECKING:
    import torch

    from implementations.decoding._source import Checkpoint


def load_transformers(known: Checkpoint, dtype: torch.dtype) -> Any:
    """Return the model of a checkpoint in a dtype, as transformers reads it from the checkpoint's folder."""
    if known.folder is not None:
        return _read(known.folder, dtype)
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory() as scratch:
        write_config(known.config, Path(scratch))
        save_file(dict(known.weights()), Path(scratch, "model.safetensors"), {"format": "pt"})
        return _read(Path(scratch), dtype)


def _read(folder: Path, dtype: torch.dtype) -> Any:
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    return transformers.LlamaForCausalLM.from_pretrained(folder, dtype=dtype).eval()  # type: ignore[no-untyped-call]
