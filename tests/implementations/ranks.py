"""Ranks that are real processes over gloo, and implementations with a fault in their source."""

from __future__ import annotations

import importlib
import types
from pathlib import Path

import torch
import torch.multiprocessing

RANKS = 3


def planted(workload, name, old="", new=""):
    """Return an implementation, or what it is with a fault in its source."""
    module = importlib.import_module(f"implementations.{workload}.{name}")
    text = Path(module.__file__).read_text()
    assert not old or text.count(old) == 1
    faulty = types.ModuleType(name)
    exec(compile(text.replace(old, new) if old else text, name, "exec"), faulty.__dict__)
    return getattr(faulty, name)


def on_ranks(folder, function):
    """Call a function on every rank, each a process of its own, and return what each returned."""
    torch.multiprocessing.start_processes(_rank, (str(folder), function), RANKS, start_method="fork")
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(RANKS)]


def _rank(rank, folder, function):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=RANKS)
    torch.save(function(), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()
