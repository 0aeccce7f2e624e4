"""Keys and values of the tokens that a model has seen, in memory that is taken once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from implementations.decoding._model import Llama


class Cache:
    """A static cache, (layers, batch, keys and values, capacity, head_dim), and how much of each row counts.

    What lies beyond a row's length is of no account: it is written over. To take tokens back is to leave the length.

    Attributes:
        lengths: of each row, the tokens that are committed.
        mask: of the pass that is prepared: (batch or 1, 1, queries, slots), to be added to scores; None where all
            tokens see all slots.
    """

    def __init__(self, model: Llama, batch: int, capacity: int) -> None:
        config = model.config
        shape = (len(model.layers), batch, 2 * config.kv_heads, capacity, config.head_dim)
        self._held = torch.zeros(shape, dtype=model.dtype, device=model.device)
        self._heads, self._queries = config.kv_heads, config.heads // config.kv_heads
        self.lengths = [0] * batch
        self.mask: Tensor | None = None

    @property
    def capacity(self) -> int:
        """The slots of a row."""
        return self._held.shape[3]

    def prepare(self, ancestors: Tensor) -> None:
        """Prepare a pass of k nodes for each row, which go to the k slots after its length.

        Args:
            ancestors: (batch, k, k), whether node i sees node j. All see what is committed.
        """
        batch, k, _ = ancestors.shape
        self._end = max(self.lengths) + k
        self._slots = torch.tensor(self.lengths)[:, None] + torch.arange(k)
        if self._end > self.capacity:
            raise ValueError(f"a cache of {self.capacity} slots has no place for {self._end}")
        if batch == k == 1:
            self.mask = None
            return
        seen = torch.arange(self._end) < torch.tensor(self.lengths)[:, None, None]
        seen = seen.expand(batch, k, -1).clone()
        seen.scatter_(2, self._slots[:, None].expand(-1, k, -1), ancestors)
        mask = torch.zeros(seen.shape, dtype=self._held.dtype).masked_fill_(~seen, -torch.inf)
        self.mask = mask.repeat_interleave(self._queries, 1)[:, None].to(self._held.device)

    def put(self, layer: int, added: Tensor) -> tuple[Tensor, Tensor]:
        """Write keys and values of the nodes, (batch, k, 2 kv_heads, head_dim), and return a layer's of all slots."""
        held = self._held[layer]
        if len(self.lengths) == 1:
            held[:, :, self.lengths[0] : self._end] = added.transpose(1, 2)
        else:
            rows = torch.arange(len(self.lengths))[:, None]
            held[rows, :, self._slots] = added
        held = held[:, :, : self._end]
        return held[:, : self._heads], held[:, self._heads :]

    def keep(self, row: int, path: Sequence[int]) -> None:
        """Commit the nodes of a path, by index in the order of their depth, and forget the others.

        The path is copied to where it would have been without the others, by index: slices would overlap.
        """
        length = self.lengths[row]
        if list(path) != list(range(len(path))):
            held = self._held[:, row]
            held[:, :, length : length + len(path)] = held[:, :, [length + index for index in path]]
        self.lengths[row] = length + len(path)
