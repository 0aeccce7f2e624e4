"""Text from files as text: nothing in it moves the cursor, changes colours or turns lines around."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from harness.core.text import clean_text

if TYPE_CHECKING:
    from harness.core.run import Run
    from harness.core.trial import Sample, Trial

T = TypeVar("T")


def sanitize_value(value: T) -> T:
    """Return a value with every text in it on one line, without control characters and marks of direction."""
    found: Any = value
    if isinstance(value, str):
        found = value if value.isprintable() else clean_text(value)
    elif isinstance(value, list | tuple):
        found = type(value)(map(sanitize_value, value))
    elif isinstance(value, dict):
        found = {sanitize_value(key): sanitize_value(item) for key, item in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        found = replace(value, **{field.name: sanitize_value(getattr(value, field.name)) for field in fields(value)})
    return found  # type: ignore[no-any-return]


def sanitize_run(run: Run) -> Run:
    """Return a run that can be printed, whoever wrote it."""
    return replace(run, description=sanitize_value(run.description), trials=tuple(map(_plain_trial, run.trials)))


def _plain_trial(trial: Trial) -> Trial:
    log = "\n".join(map(clean_text, trial.log.splitlines()))
    return replace(sanitize_value(replace(trial, log="", samples=[])), log=log, samples=_plain_samples(trial.samples))


def _plain_samples(samples: list[Sample]) -> list[Sample]:
    """Return samples as they are where their few different texts are printable: there may be a million of them."""
    texts = {text for sample in samples for text in (sample.metric, sample.flags, sample.provenance)}
    return samples if all(map(str.isprintable, texts)) else [sanitize_value(sample) for sample in samples]
