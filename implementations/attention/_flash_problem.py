"""What the Triton kernels are told of a question, and the configurations that they come in; knows no triton."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

ITEM_BYTES = {"fp32": 4, "tf32": 4, "fp16": 2, "bf16": 2}
# One TF32 product misses float32's error a hundredfold; three do not.
_PRECISION = {"fp32": "tf32x3", "tf32": "tf32"}


class Config(NamedTuple):
    """A tile of query rows by keys, the warps that compute it, and how deep its loads are pipelined."""

    rows: int
    keys: int
    warps: int
    stages: int

    @property
    def label(self) -> str:
        """The tile as inspections write it: ``128x64``."""
        return f"{self.rows}x{self.keys}"

    @property
    def options(self) -> dict[str, Any]:
        """The options of a launch; Triton 3.9 warns where fusion is not stated."""
        return {"num_warps": self.warps, "num_stages": self.stages, "enable_fp_fusion": True}


Table = dict[int, dict[int, tuple[Config, ...]]]


def _table(rows: dict[int, dict[int, tuple[tuple[int, int, int, int], ...]]]) -> Table:
    return {
        item: {width: tuple(Config(*one) for one in ones) for width, ones in by_width.items()}
        for item, by_width in rows.items()
    }


# By the size of an item, then by the widest head: what may be tried. The first of each is the choice where nothing can
# be timed: by what `bench inspect` says it spills nothing on sm_80 and sm_90 (but for fp32 with heads wider than 128,
# which does even so), and its shared memory on sm_80 is within the 99 KiB of sm_86 and sm_89. None was chosen by time.
FORWARD = _table({
    2: {
        64: ((128, 64, 4, 3), (128, 64, 4, 2), (128, 64, 8, 3), (128, 128, 8, 3), (128, 32, 4, 3), (64, 64, 4, 3),
             (64, 128, 4, 3), (16, 128, 4, 3)),
        128: ((128, 64, 8, 3), (128, 64, 8, 2), (128, 128, 8, 2), (128, 32, 8, 3), (64, 64, 4, 3), (64, 64, 4, 2),
              (64, 128, 8, 2), (16, 128, 4, 2)),
        256: ((64, 32, 8, 2), (64, 64, 8, 2), (64, 32, 4, 2), (128, 32, 8, 2)),
    },
    4: {
        64: ((64, 16, 4, 2), (32, 32, 4, 2), (64, 32, 8, 2)),
        128: ((32, 32, 8, 2), (64, 16, 8, 2), (32, 16, 4, 2)),
        256: ((16, 16, 8, 2), (32, 16, 8, 1)),
    },
})  # fmt: skip
KEYS = _table({
    2: {
        64: ((64, 64, 4, 2), (64, 128, 8, 2), (64, 128, 8, 3), (32, 64, 4, 3), (32, 128, 4, 3)),
        128: ((64, 64, 8, 2), (32, 64, 8, 2), (32, 64, 4, 2), (32, 128, 8, 2), (64, 128, 8, 2)),
        256: ((32, 32, 8, 2), (16, 64, 8, 2), (32, 64, 8, 2)),
    },
    4: {
        64: ((32, 32, 4, 2), (32, 32, 8, 2), (16, 32, 4, 2)),
        128: ((16, 16, 4, 1), (16, 32, 8, 1), (16, 32, 8, 2)),
        256: ((16, 16, 8, 1),),
    },
})  # fmt: skip
ROWS = _table({
    2: {
        64: ((128, 64, 8, 3), (64, 64, 4, 3), (64, 64, 4, 2), (128, 128, 8, 2), (128, 32, 4, 3)),
        128: ((64, 64, 4, 2), (128, 32, 8, 3), (64, 32, 4, 3), (128, 64, 8, 2)),
        256: ((64, 16, 8, 2), (64, 32, 8, 2), (32, 32, 8, 2)),
    },
    4: {
        64: ((32, 32, 4, 2), (64, 16, 8, 2), (64, 32, 8, 2)),
        128: ((32, 32, 8, 2), (16, 16, 4, 1), (32, 16, 8, 1)),
        256: ((16, 16, 8, 1),),
    },
})  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """The sizes of a question. Query i sees key j where low <= j - i <= high; None leaves a side open.

    A causal mask is high = 0, or seq_k - seq_q where it is aligned at the end; with a window of w keys as well, low is
    high + 1 - w.
    """

    batch: int
    heads: int
    kv_heads: int
    seq_q: int
    seq_k: int
    head_dim: int
    v_dim: int
    dtype: str
    low: int | None = None
    high: int | None = None

    def arguments(self, config: Config, *, widen: bool = False) -> dict[str, Any]:
        """Return what all kernels are given beside their tensors.

        Args:
            config: the tile.
            widen: compute in float32 throughout. Triton's interpreter multiplies the bit patterns of bfloat16, and
                truncates float32 to it: there, all is float32.
        """
        return {
            "seq_q": self.seq_q,
            "seq_k": self.seq_k,
            "group": self.heads // self.kv_heads,
            "low": self.low or 0,
            "high": self.high or 0,
            "scale": self.head_dim**-0.5,
            "HEAD_DIM": self.head_dim,
            "V_DIM": self.v_dim,
            "HEAD_TILE": tile(self.head_dim),
            "V_TILE": tile(self.v_dim),
            "ROWS": config.rows,
            "KEYS": config.keys,
            "LOW": self.low is not None,
            "HIGH": self.high is not None,
            "WIDEN": widen,
            "PRECISION": _PRECISION.get(self.dtype),
        }


def tile(features: int) -> int:
    """Return the width in which features are loaded: a power of two, as Triton's tiles are, of at least 16."""
    return max(16, 1 << (features - 1).bit_length())


def space(table: Table, problem: Problem) -> tuple[Config, ...]:
    """Return the configurations by the size of an item and the widest head; the first is the static choice."""
    widest = max(tile(problem.head_dim), tile(problem.v_dim))
    return next(chosen for largest, chosen in table[ITEM_BYTES[problem.dtype]].items() if widest <= largest)
