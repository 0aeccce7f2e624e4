"""Training that goes on from step to step, and begins again where its inputs were written over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from implementations._training.inputs import BATCHES, TrainingInputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Inputs = TypeVar("Inputs", bound=TrainingInputs)
State = TypeVar("State")


class Course(Generic[Inputs, State]):
    """What is trained, and which batch comes next.

    What is trained is a copy of the inputs' parameters. Where those have been written over, which raises their
    versions, the course begins again; while steps are timed nothing is written, so that it never does.
    """

    def __init__(self, x: Inputs, begin: Callable[[Inputs], State]) -> None:
        self._x, self._begin = x, begin
        self._start()

    def next(self) -> tuple[State, Tensor, Tensor]:
        """Return what is trained, the next batch and its labels."""
        if self._begun != self._versions():
            self._start()
        index = self._taken % BATCHES
        self._taken += 1
        return self._state, self._x.batches[index], self._x.labels[index]

    def _start(self) -> None:
        self._state, self._begun, self._taken = self._begin(self._x), self._versions(), 0

    def _versions(self) -> list[int]:
        return [tensor._version for tensor in (*self._x.parameters.values(), self._x.batches, self._x.labels)]
