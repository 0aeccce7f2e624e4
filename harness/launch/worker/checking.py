"""The default check: an output against its reference, element by element, in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from harness.core.workload import Check, Reference


def compare_output(output: Any, reference: Reference) -> Check:
    """Compare every tensor of an output with the reference's, in order.

    Returns:
        ``max_abs_error`` and ``rms_error`` over all elements (of a kind with a name, ``NAME_max_abs_error``), and a
        fault where the structure, a shape, a dtype or finiteness differs or an error exceeds its bound.
    """
    kinds = _kinds(reference)
    got, most = list(walk_tensors(output)), sum(len(list(walk_tensors(kind))) for kind in kinds.values())
    least = most - sum(len(list(walk_tensors(kind))) for kind in kinds.values() if kind.optional)
    if len(got) not in (least, most):
        return Check({}, f"{len(got)} tensors returned, {least}{f' or {most}' if most > least else ''} expected")
    errors: dict[str, float | Sequence[float]] = {}
    for name, kind in kinds.items():
        size = len(list(walk_tensors(kind)))
        ours, got = got[:size], got[size:]
        check = _compare(ours, kind) if ours else Check({})
        errors |= {f"{name}_max_abs_error": check.errors["max_abs_error"]} if name and check.errors else check.errors
        if check.fault:
            return Check(errors, f"{name}: {check.fault}" if name else check.fault)
    return Check(errors)


def _kinds(reference: Reference) -> Mapping[str, Reference]:
    """Return the references that one is made of by name; by an empty one where it is of one kind."""
    value = reference.value
    if isinstance(value, Mapping) and all(isinstance(kind, Reference) for kind in value.values()):
        return value
    return {"": reference}


def _compare(got: list[torch.Tensor], reference: Reference) -> Check:
    squares, count, worst, faults = 0.0, 0, 0.0, []
    for ours, (name, truth, bound) in zip(got, _bounded(reference), strict=True):
        if fault := _form_fault(ours, truth, reference.dtype):
            return Check({}, fault)
        error, strange = _errors(ours.detach().to(truth.device, torch.float64), truth.to(torch.float64))
        if strange:
            return Check({}, f"{strange} elements are NaN or infinite")
        largest = error.max().item() if error.numel() else 0.0
        if not largest <= bound:
            faults.append(f"{name}max_abs_error {largest:.3g} exceeds {bound:.3g}")
        worst = max(worst, largest)
        squares += error.square_().sum().item()
        count += error.numel()
    errors = {"max_abs_error": worst, "rms_error": (squares / count) ** 0.5 if count else 0.0}
    return Check(errors, "; ".join(faults))


def _bounded(reference: Reference) -> Iterator[tuple[str, torch.Tensor, float]]:
    """Yield each tensor of a reference with its name and its bound."""
    bounds = reference.max_abs_error
    if isinstance(bounds, Mapping):
        yield from ((f"{name}: ", truth, bounds[name]) for name, truth in reference.value.items())
    else:
        yield from (("", truth, bounds) for truth in walk_tensors(reference.value))


def walk_tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors of a value made of dataclasses, mappings and sequences, in order."""
    if isinstance(value, torch.Tensor):
        yield value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from walk_tensors(getattr(value, item.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from walk_tensors(item)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for item in value:
            yield from walk_tensors(item)


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
