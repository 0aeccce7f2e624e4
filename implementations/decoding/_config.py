"""The shape of a model of the Llama family, as its ``config.json`` says it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class Config:
    """A decoder of pre-norm blocks with rotary positions (Touvron et al. 2023, section 2.2).

    Attributes:
        kv_heads: heads of keys and values, each shared by ``heads / kv_heads`` queries (Ainslie et al. 2023).
        inner: features between the two layers of a block's MLP.
        scaling: how frequencies of positions are stretched; empty where they are not.
        tied: whether the output layer is the embedding.
        context: the most positions there are.
        eos: the tokens that end a text.
    """

    vocabulary: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    eps: float = 1e-5
    theta: float = 10000.0
    scaling: Mapping[str, Any] | None = None
    tied: bool = True
    context: int = 2048
    eos: tuple[int, ...] = ()


def read_config(folder: Path) -> Config:
    """Read the configuration of a checkpoint.

    Raises:
        ValueError: it is of another family, or has a part that is not known here.
    """
    data = json.loads((folder / "config.json").read_text())
    rope = data.get("rope_parameters") or data.get("rope_scaling") or {}
    kind = rope.get("rope_type", rope.get("type", "default"))
    if data.get("model_type") != "llama" or kind not in ("default", "llama3"):
        raise ValueError(f"{folder}: a {data.get('model_type')} with {kind} positions, and not of the Llama family")
    if data.get("attention_bias") or data.get("mlp_bias"):
        raise ValueError(f"{folder}: its layers have biases, which those of the Llama family do not")
    heads = data["num_attention_heads"]
    return Config(
        vocabulary=data["vocab_size"],
        width=data["hidden_size"],
        layers=data["num_hidden_layers"],
        heads=heads,
        kv_heads=data.get("num_key_value_heads") or heads,
        head_dim=data.get("head_dim") or data["hidden_size"] // heads,
        inner=data["intermediate_size"],
        eps=data["rms_norm_eps"],
        theta=rope.get("rope_theta", data.get("rope_theta", 10000.0)),
        scaling=rope if kind == "llama3" else None,
        tied=data.get("tie_word_embeddings", False),
        context=data["max_position_embeddings"],
        eos=_eos(folder, data),
    )


def write_config(config: Config, folder: Path) -> None:
    """Write a configuration as transformers reads it."""
    data = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "vocab_size": config.vocabulary,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.inner,
        "rms_norm_eps": config.eps,
        "rope_parameters": {"rope_type": "default", **(config.scaling or {}), "rope_theta": config.theta},
        "tie_word_embeddings": config.tied,
        "max_position_embeddings": config.context,
        "eos_token_id": list(config.eos),
    }
    (folder / "config.json").write_text(json.dumps(data, indent=1) + "\n")


def _eos(folder: Path, data: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the tokens that end a text: those for generation where they are stated apart."""
    generation = folder / "generation_config.json"
    stated = json.loads(generation.read_text()).get("eos_token_id") if generation.is_file() else None
    eos = data.get("eos_token_id") if stated is None else stated
    return tuple(eos) if isinstance(eos, list) else () if eos is None else (eos,)
