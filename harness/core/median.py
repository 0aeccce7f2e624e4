"""The interval of a median, from order statistics: it assumes no distribution, and one outlier does not move it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# Two-sided 95 % of the normal distribution.
Z95 = 1.96


def estimate_median_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median of at least one value.

    Below six values no two of them cover 95 %, and the extremes are returned.
    """
    ordered = sorted(values)
    n = len(ordered)
    below = max(0, math.floor((n - Z95 * math.sqrt(n)) / 2))
    return ordered[below], ordered[n - 1 - below]
