"""The ring that is written out: it sums as the library does, and sends no more than it must."""

from __future__ import annotations

import pytest
import torch

from implementations._collectives.ring import ring_all_reduce
from tests.implementations.ranks import RANKS, on_ranks


@pytest.mark.parametrize("size", [1, 3, 1000003])
def test_the_ring_sums_as_the_library_does_and_sends_what_the_formula_says(tmp_path, size):
    def both():
        ours = torch.arange(size, dtype=torch.float32) % 7 + torch.distributed.get_rank()
        library = ours.clone()
        torch.distributed.all_reduce(library)
        sent = ring_all_reduce(ours)
        return torch.equal(ours, library), sent

    found = on_ranks(tmp_path, both)
    assert all(equal for equal, _ in found)
    assert sum(sent for _, sent in found) == 2 * (RANKS - 1) * 4 * size
