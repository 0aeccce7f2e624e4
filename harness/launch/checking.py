"""The default check: an output against its reference, element by element, in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from harness.core.workload import Check, Reference


def compare(output: Any, reference: Reference) -> Check:
    """Compare every tensor of an output with the reference's, in order.

    Returns:
        ``max_abs_error`` and ``rms_error`` over all elements, and a fault where the structure, a shape, a dtype or
        finiteness differs or an error exceeds ``reference.max_abs_error``.
    """
    got, wanted = list(tensors(output)), list(tensors(reference.value))
    if len(got) != len(wanted):
        return Check({}, f"{len(got)} tensors returned, {len(wanted)} expected")
    squares, count, worst = 0.0, 0, 0.0
    for ours, truth in zip(got, wanted, strict=True):
        if fault := _form_fault(ours, truth, reference.dtype):
            return Check({}, fault)
        error, strange = _errors(ours.detach().to(truth.device, torch.float64), truth.to(torch.float64))
        if strange:
            return Check({}, f"{strange} elements are NaN or infinite")
        worst = max(worst, error.max().item() if error.numel() else 0.0)
        squares += error.square_().sum().item()
        count += error.numel()
    errors = {"max_abs_error": worst, "rms_error": (squares / count) ** 0.5 if count else 0.0}
    if worst > reference.max_abs_error:
        return Check(errors, f"max_abs_error {worst:.3g} exceeds {reference.max_abs_error:.3g}")
    return Check(errors)


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a value made of dataclasses, mappings and sequences, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from tensors(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            yield from tensors(item)


def _form_fault(ours: torch.Tensor, truth: torch.Tensor, dtype: torch.dtype | None) -> str:
    if ours.shape != truth.shape:
        return f"shape {tuple(ours.shape)} returned, {tuple(truth.shape)} expected"
    if dtype is not None and ours.dtype != dtype:
        return f"dtype {ours.dtype} returned, {dtype} expected"
    return ""


def _errors(ours: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return the absolute errors, and how many elements are NaN or infinite where the truth is not the same."""
    error = (ours - truth).abs_()
    same = (ours == truth) | (ours.isnan() & truth.isnan())
    return error.masked_fill_(same, 0.0), int((~ours.isfinite() & ~same).sum())
