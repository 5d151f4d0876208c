"""Coordinate-wise median: each element of the aggregate is the middle one of the updates; weights are not used.

Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates. ICML 2018,
definition 1. https://arxiv.org/abs/1803.01498
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedward_server.aggregate.combination import Block, Combination, Rows, equal_shares
from fedward_server.aggregate.sorting_network import partly_sorted


def median(updates: int) -> Combination:
    """Take the middle of so many updates, or the mean of the middle two."""
    below, above = (updates - 1) // 2, updates // 2

    def combine(rows: Rows, out: Block, scratch: NDArray[np.float32]) -> None:
        ordered = partly_sorted(rows, {below, above}, scratch)
        if below == above:
            out[:] = ordered[below]
            return
        # halved first: the sum of two large values may not overflow
        np.multiply(ordered[below], np.float32(0.5), out=out)
        np.multiply(ordered[above], np.float32(0.5), out=ordered[above])
        np.add(out, ordered[above], out=out)

    return Combination(equal_shares(updates), combine)
