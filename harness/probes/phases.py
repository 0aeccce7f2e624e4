"""Where a step's time goes: forward, backward, update, and communication that nothing else hides."""

from __future__ import annotations

import json
import math
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.probes.profiler import open_profiler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    # When something was done, in microseconds.
    Span = tuple[float, float]

_STEPS = 3
STEP, _OPTIMIZER, _BACKWARD = "benchwright:step", "Optimizer.step#", "autograd::engine::evaluate_function"
_COMMUNICATION = ("gloo:", "c10d::")
# Between two operations so close to each other a thread computes as well: it prepares the second.
_PAUSE_US = 50.0
_SECONDS = 1e-6
_BYTES = {"double": 8, "long int": 8, "float": 4, "int": 4, "c10::Half": 2, "c10::BFloat16": 2}


def has_phases(names: Iterable[str]) -> bool:
    """Whether a step that ran such operators differentiates, updates or communicates."""
    return any(name.startswith((_OPTIMIZER, _BACKWARD, *_COMMUNICATION)) for name in names)


def measure_phases(step: Callable[[], Any], ranks: int) -> dict[str, float]:
    """Return the parts of a step on a CPU under torch's profiler, in seconds a step, and the bytes that it sends.

    A profile prolongs a step, small operations most.

    Args:
        step: what is profiled; ranks take as many steps each.
        ranks: that communicate.
    """
    with open_profiler(record_shapes=True) as profile:
        for _ in range(_STEPS):
            with torch.profiler.record_function(STEP):
                step()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trace.json")
        profile.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    return split_phases([event for event in events if event.get("ph") == "X"], ranks)


def split_phases(events: Sequence[Mapping[str, Any]], ranks: int) -> dict[str, float]:
    """Return the parts of a step, given the events of a trace that have a beginning and an end.

    Five parts make up a step: communication while no thread computes is exposed; of the rest, an update lies within
    the optimiser's step, the backward pass where autograd's engine is at work, and the forward pass before its end.
    What remains after that is none of them.
    """
    steps = _spans(events, STEP)
    communication = _within(_spans(events, "gloo:"), steps)
    exposed = _without(communication, _computing(events))
    update = _without(_within(_spans(events, _OPTIMIZER), steps), exposed)
    backward = _without(_within(_spans(events, _BACKWARD), steps), [*exposed, *update])
    forward = _without(_until_last(steps, backward), [*exposed, *update, *backward])
    spent = {
        "forward_time": forward,
        "backward_time": backward,
        "optimizer_time": update,
        "communication_time": communication,
        "exposed_communication_time": exposed,
    }
    found = {metric: _length(spans) * _SECONDS / len(steps) for metric, spans in spent.items() if spans}
    if communication:
        found.setdefault("exposed_communication_time", 0.0)
        found["overlap_share"] = 1 - _length(exposed) / _length(communication)
        found["bytes_sent"] = sum(_sent(event, ranks) for event in events) / len(steps)
    return found


def _spans(events: Iterable[Mapping[str, Any]], name: str) -> list[Span]:
    found = (event for event in events if event["name"].startswith(name))
    return _union((event["ts"], event["ts"] + event["dur"]) for event in found)


def _computing(events: Sequence[Mapping[str, Any]]) -> list[Span]:
    """Return when any thread ran operators, or was between two of them."""
    spans: list[Span] = []
    for thread in {event["tid"] for event in events}:
        own = _spans([event for event in events if event["tid"] == thread], "aten::")
        spans += own + [(end, start) for (_, end), (start, _) in pairwise(own) if start - end <= _PAUSE_US]
    return _union(spans)


def _sent(event: Mapping[str, Any], ranks: int) -> float:
    """Return the bytes that a rank sends in one operation, as a ring does, which is the least that there is."""
    if not event["name"].startswith("gloo:"):
        return 0.0
    arguments = event["args"]
    shapes, types = arguments.get("Input Dims", ()), arguments.get("Input type", ())
    given = sum(math.prod(shape) * _BYTES.get(kind, 0) for shape, kind in zip(shapes, types, strict=False))
    shares = {"gloo:all_reduce": 2 * (ranks - 1) / ranks, "gloo:all_gather": ranks - 1, "gloo:recv": 0}
    return float(shares.get(event["name"], 1) * given)


def _until_last(steps: Sequence[Span], backward: Sequence[Span]) -> list[Span]:
    """Return the part of each step up to the end of its backward pass; all of a step that has none."""
    ends = [max((end for _, end in backward if start < end <= stop), default=stop) for start, stop in steps]
    return [(start, end) for (start, _), end in zip(steps, ends, strict=True)]


def _union(spans: Iterable[Span]) -> list[Span]:
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _within(spans: Sequence[Span], limits: Sequence[Span]) -> list[Span]:
    """Return what two unions have in common."""
    both = ((max(a, c), min(b, d)) for a, b in spans for c, d in limits)
    return [(start, end) for start, end in both if start < end]


def _without(spans: Sequence[Span], others: Sequence[Span]) -> list[Span]:
    """Return what is left of a union outside of other spans."""
    left = list(spans)
    for start, end in _union(others):
        left = [piece for a, b in left for piece in ((a, min(b, start)), (max(a, end), b)) if piece[0] < piece[1]]
    return left


def _length(spans: Iterable[Span]) -> float:
    return sum(end - start for start, end in spans)
