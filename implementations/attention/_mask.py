"""Which keys a query sees: causal masks of both alignments, and sliding windows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import Tensor

# Blocks of keys, each with the mask of its tile: true where a key is hidden, None where none is.
Blocks = list[tuple[slice, "Tensor | None"]]


@dataclass(frozen=True)
class Mask:
    """A query sees an interval of keys, whose ends never go back from one query to the next.

    Attributes:
        queries, keys: how many there are.
        causal: query i, whose own key is i + offset, sees no key after that.
        offset: 0 where query 0 and key 0 belong together (top left), ``keys - queries`` where the last ones do (bottom
            right).
        window: a query sees the keys that are fewer than so many places away from its own; 0 for all.
    """

    queries: int
    keys: int
    causal: bool = False
    offset: int = 0
    window: int = 0

    def span(self, query: int) -> tuple[int, int]:
        """Return the first key that a query sees and the one after the last; both are equal where it sees none."""
        first, end = self._shifts
        return tuple(min(max(0, query + shift), self.keys) for shift in (first, end))  # type: ignore[return-value]

    @property
    def pairs(self) -> int:
        """How many pairs of a query and a key that it sees there are."""
        first, end = (self._passed(shift) for shift in self._shifts)
        return end - first

    @property
    def full(self) -> bool:
        """Whether every query sees every key."""
        return self.pairs == self.queries * self.keys

    def hidden(self, queries: range, keys: range, device: torch.device) -> Tensor | None:
        """Return the mask of a tile, true where a key is hidden; None where each query sees each key."""
        before, after = self.span(queries[-1])[0] > keys.start, self.span(queries[0])[1] < keys.stop
        first, end = self._shifts
        query = torch.arange(queries.start, queries.stop, dtype=torch.int32, device=device).unsqueeze(1)
        key = torch.arange(keys.start, keys.stop, dtype=torch.int32, device=device)
        hidden = key >= query + end if after else None
        if before:
            early = key < query + first
            return early if hidden is None else early.logical_or_(hidden)
        return hidden

    def blind(self, device: torch.device) -> Tensor | None:
        """Return which queries see no key, as a column; None where there are none."""
        seen = [end > first for first, end in map(self.span, range(self.queries))]
        return None if all(seen) else ~torch.tensor(seen, device=device).unsqueeze(1)

    def tiles(self, rows: int, columns: int, device: torch.device) -> list[tuple[slice, Blocks]]:
        """Return the tiles in which anything is seen: rows of queries, and for each the blocks of keys."""
        masks: dict[tuple[int, int, int], Tensor | None] = {}  # tiles that lie alike to the diagonal share one
        found: list[tuple[slice, Blocks]] = []
        for queries in _ranges(0, self.queries, rows):
            first, end = self.span(queries[0])[0], self.span(queries[-1])[1]
            blocks: Blocks = []
            for keys in _ranges(first - first % columns, end, columns):
                place = (queries.start - keys.start, len(queries), len(keys))
                mask = self.hidden(queries, keys, device)
                blocks.append((_slice(keys), mask if mask is None else masks.setdefault(place, mask)))
            found.append((_slice(queries), blocks))
        return found

    @property
    def _shifts(self) -> tuple[int, int]:
        """What is to be added to a query for the ends of what it sees, before they are held within the keys."""
        first = self.offset - self.window + 1 if self.window else -self.queries
        if self.causal:
            return first, self.offset + 1
        return first, self.offset + self.window if self.window else self.keys

    def _passed(self, shift: int) -> int:
        """Return the sum of ``query + shift``, held within 0 and the keys, over all queries."""
        return self._up_to(self.queries - 1 + shift) - self._up_to(shift - 1)

    def _up_to(self, last: int) -> int:
        """Return the sum over all numbers up to ``last`` of the number held within 0 and the keys."""
        within = min(max(0, last), self.keys)
        return within * (within + 1) // 2 + max(0, last - self.keys) * self.keys


def _ranges(start: int, end: int, step: int) -> Iterable[range]:
    return (range(at, min(at + step, end)) for at in range(start, end, step))


def _slice(numbers: range) -> slice:
    return slice(numbers.start, numbers.stop)
