"""Whether a method has made the text that plain decoding makes."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

import torch

from harness import Check, Reference
from implementations.decoding._acceptance import typical_bounds
from implementations.decoding._method import Decoded, decoding, load_model
from implementations.decoding._tree import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from implementations.decoding._decode import Counts
    from implementations.decoding._inputs import DecodingInputs
    from implementations.decoding._model import Llama

# Units in the last place that a token of bfloat16 may be behind the likeliest. Keys and values that come of passes of
# another size are sums of another order, which moves the difference of the two likeliest logits by up to 3 units
# (SmolLM2, passes of 8 tokens against passes of 1, 576 places). Of 96 texts, 27 differed from plain decoding: where
# they first did, 26 were within 1 unit and one was 3 behind.
_UNITS = 4.0
# A sum of many terms lies so many of its standard deviations from its mean once in 500 million times.
_DEVIATIONS = 6.0


def reference(x: DecodingInputs) -> Reference:
    """Return the tokens of plain decoding in the dtype of the inputs; none where they are a matter of chance."""
    from implementations.decoding._decode import NoDrafter

    tokens = None if x.temperature else decoding(x, lambda *_: NoDrafter())().tokens
    return Reference({"tokens": tokens, "inputs": x})


def check(output: Decoded, truth: Reference) -> Check:
    """Hold tokens against those of plain decoding, and say what was counted.

    In float32 they are the same. In bfloat16 sums of another order may choose another token where two are as likely:
    there each token of a text that differs is within a few units in the last place of the likeliest when plain decoding
    is led along that text. At a temperature above zero the tokens are as likely as tokens that the model draws, or each
    is typical of what the model says there, if the method is lossy.
    """
    x, wanted = truth.value["inputs"], truth.value["tokens"]
    texts = [prompt for batch in x.batches() for prompt in batch]
    errors: dict[str, float | Sequence[float]] = {**_counted(output.counts)}
    errors |= {"made_share": sum(map(len, output.tokens)) / (len(texts) * x.new_tokens)}
    errors |= {**output.learned, "lossless": float(not output.lossy)}
    if fault := _form_fault(output.tokens, len(texts), x):
        return Check(errors, fault)
    if x.temperature:
        deviations = likelihood_deviations(x, texts, output.tokens)
        if output.lossy:
            return Check(errors | {"likelihood_deviations": deviations}, _typical_fault(x, texts, output.tokens))
        fault = "" if abs(deviations) <= _DEVIATIONS else f"its likelihood is {deviations:.1f} deviations from the mean"
        return Check(errors | {"likelihood_deviations": deviations}, fault)
    found = _compared(x, texts, output.tokens, wanted)
    return Check({**errors, **found.errors}, found.fault)


def examine(output: Decoded, truth: Reference) -> Check:
    """Take the step again, and decode plainly with the same engine: what a pass costs more, and what comes first."""
    if output.again is None or output.plainly is None:
        return Check({})
    ours, plain = output.again().counts, output.plainly().counts
    found = {"time_to_first_token": median(ours.first_token_s)}
    if ours.rounds and plain.rounds:
        found["step_overhead"] = ours.total_s / ours.rounds / (plain.total_s / plain.rounds)
    return Check(found)


def likelihood_deviations(x: DecodingInputs, texts: Sequence[Sequence[int]], made: Sequence[Sequence[int]]) -> float:
    """Return how far the likelihood of tokens lies from what it is of tokens that the model draws.

    The logarithm of the probability of a token that is drawn has the mean and the variance of that distribution, so
    that differences from the means add up to zero, with the sum of the variances (a martingale).
    """
    difference = variance = 0.0
    for new, logits in zip(made, _said(x, texts, made), strict=True):
        logarithms = logits.log_softmax(-1)
        mean = (logarithms.exp() * logarithms).sum(-1)
        variance += ((logarithms.exp() * logarithms**2).sum(-1) - mean**2).sum().item()
        difference += (logarithms[range(len(new)), new] - mean).sum().item()
    return difference / math.sqrt(variance) if variance > 0 else 0.0


def _said(x: DecodingInputs, texts: Sequence[Sequence[int]], made: Sequence[Sequence[int]]) -> Iterator[torch.Tensor]:
    """Yield for each text the model's logits over the temperature, before each new token: (new, vocabulary)."""
    from implementations.decoding._engine import Engine

    model = load_model(replace(x, dtype="fp32"))
    for text, new in zip(texts, made, strict=True):
        whole = [*text, *new]
        states = Engine(model, 1, len(whole)).prefill([whole], [len(model.blocks)]).hidden[0][0]
        with torch.inference_mode():
            yield model.head(states[len(text) - 1 : -1]).double() / x.temperature


def _typical_fault(x: DecodingInputs, texts: Sequence[Sequence[int]], made: Sequence[Sequence[int]]) -> str:
    """Return which token is not typical, by half of the bound, so that bfloat16 has room."""
    for row, (new, logits) in enumerate(zip(made, _said(x, texts, made), strict=True)):
        probabilities = logits.softmax(-1)
        given = probabilities[range(len(new)), new]
        low = (given < typical_bounds(probabilities) / 2).nonzero().flatten().tolist()
        if low:
            return f"token {low[0]} of text {row} is not typical: it has a probability of {given[low[0]]:.2g}"
    return ""


def _counted(counts: Counts | None) -> dict[str, float | Sequence[float]]:
    if counts is None or not counts.passes:
        return {}
    found: dict[str, float | Sequence[float]] = {
        "tokens_per_step": counts.made / counts.passes,
        "guesses_per_step": counts.made / counts.passes - 1,
        "guesses_verified": counts.nodes / counts.passes,
        "draft_share": counts.draft_s / counts.total_s,
    }
    return found | ({"acceptance": [kept / counts.passes for kept in counts.kept]} if counts.kept else {})


def _compared(
    x: DecodingInputs, texts: Sequence[list[int]], ours: Sequence[list[int]], wanted: Sequence[list[int]]
) -> Check:
    """Compare texts token by token, and see into those that differ."""
    different = [row for row, (new, truth) in enumerate(zip(ours, wanted, strict=True)) if new != truth]
    errors: dict[str, float | Sequence[float]] = {"texts_differing": len(different)}
    if not different:
        return Check(errors)
    pairs = enumerate(zip(ours[different[0]], wanted[different[0]], strict=False))
    first = next((index for index, (one, other) in pairs if one != other), "its end")
    fault = f"text {different[0]} differs from plain decoding at token {first}"
    if x.dtype == "fp32":
        return Check(errors, fault)
    model = load_model(x)
    behind = max(unit for row in different for unit in units_behind(model, texts[row], ours[row]))
    fault += f", and a token is {behind:.3g} units in the last place behind the likeliest"
    return Check(errors | {"units_behind": behind}, fault if behind > _UNITS else "")


def _form_fault(made: Sequence[Sequence[int]], texts: int, x: DecodingInputs) -> str:
    """Return what is wrong with where texts end, which is alike for all methods."""
    if len(made) != texts:
        return f"{len(made)} texts returned, {texts} expected"
    eos = x.checkpoint.config.eos
    for row, new in enumerate(made):
        ends = [index for index, token in enumerate(new) if token in eos]
        if len(new) > x.new_tokens or (ends and ends[0] != len(new) - 1):
            return f"text {row} goes on beyond its end"
        if len(new) < x.new_tokens and not ends:
            return f"text {row} ends after {len(new)} tokens of {x.new_tokens}"
    return ""


def units_behind(model: Llama, text: list[int], made: Sequence[int]) -> list[float]:
    """Return how far each token is behind the likeliest, in units in the last place, as plain decoding is led along."""
    from implementations.decoding._engine import Engine

    engine, behind = Engine(model, 1, len(text) + len(made) + 1), []
    passed = engine.prefill([text])
    for token in made:
        logits = passed.logits[0, 0].double()
        top = logits.max().item()
        unit = torch.finfo(model.dtype).eps * 2.0 ** math.floor(math.log2(abs(top) or 1.0))
        behind.append((top - logits[token].item()) / unit)
        passed = engine.verify([Tree.chain(token)])
        engine.keep([[0]])
    return behind
