"""Decoding: making text with a language model, by methods that make the same text in different time."""

from __future__ import annotations

import math
from dataclasses import replace

from harness import Axis, Cost, Metric, Params, Published, Training, Workload
from implementations.decoding._inputs import DTYPES, KINDS, input_bytes, make_inputs
from implementations.decoding._places import METHODS
from implementations.decoding._proof import check, examine, reference
from implementations.decoding._source import SMOLLM2, parse_model
from implementations.decoding._training import train_heads


def cost(params: Params) -> Cost:
    """Count the new tokens of all texts; one that its model ends before has fewer, and ``made_share`` says so."""
    return Cost(items=int(params["count"]) * int(params["batch"]) * int(params["new_tokens"]))


def parse_temperature(text: str) -> float:
    """Parse a number that is at least zero."""
    value = float(text)
    if not 0 <= value < math.inf:
        raise ValueError("expected a number of at least 0, such as 0.7")
    return value


workload = Workload(
    name="decoding",
    help="Making text with a language model, each method with the proof that it makes the same text.",
    axes=(
        Axis("model", parse_model, SMOLLM2, "what makes the text", "smollm2|hf:ORG/NAME|FOLDER", cased=True),
        Axis.choice("prompts", KINDS, "chat", "the kind of text that is continued"),
        Axis.integer("new_tokens", 64, "tokens at which a text is cut off, if its model has not ended it before"),
        Axis.integer("batch", 1, "texts that are made together"),
        Axis("temperature", parse_temperature, "0", "0 takes the likeliest token, above it chance has a part", "0.7"),
        Axis.choice("dtype", DTYPES, "fp32", "of weights and activations"),
        replace(Axis.integer("count", 1, "batches that a step makes, one after another"), implied=True),
        replace(Axis.integer("prefill", 256, "tokens of a prompt at most; of a longer one the last"), implied=True),
    ),
    make_inputs=make_inputs,
    reference=reference,
    baseline="ar_cached",
    cost=cost,
    input_bytes=input_bytes,
    check=check,
    examine=examine,
    training=Training(METHODS, train_heads, SMOLLM2),
    metrics=(
        Metric("texts_differing", "1", None, "texts that differ from those of plain decoding", exact=True),
        Metric("likelihood_deviations", "1", None, "distance of the likelihood from its mean, in standard deviations"),
    ),
    published=(
        Published("3.4 times the speed, 2.6 when sampling", "T5-XXL, translation, TPU-v4", "Leviathan et al. 2023"),
        Published("2.18 to 2.83 times the speed", "Medusa, Vicuna-7B and 13B, MT-Bench, A100", "Cai et al. 2024"),
        Published("5.51 times the speed, 6.62 tokens a step", "Vicuna-13B, greedy", "Li et al. 2025 (EAGLE-3)"),
        Published("3.02 times the speed", "EAGLE-3, Vicuna-13B, one A100, third party", "Spec-Bench"),
        Published("1.8 times the tokens a second", "DeepSeek-V3, 85 to 90 % accepted", "DeepSeek-AI 2024"),
        Published("1.62 times the speed, 1.67 tokens a step", "lookahead, Vicuna-13B", "Li et al. 2025 (EAGLE-3)"),
        Published("1.74 times the speed, 1.80 tokens a step", "prompt lookup, Vicuna-13B", "Li et al. 2025 (EAGLE-3)"),
    ),
)
