"""What keeps tests of implementations cheap."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread: two that others keep from their cores wait for one another most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", autouse=True)
def few_objects() -> Iterator[None]:
    """Keep the garbage collector, which each measurement of memory calls, from looking through all that is imported."""
    gc.freeze()
    yield
    gc.unfreeze()
