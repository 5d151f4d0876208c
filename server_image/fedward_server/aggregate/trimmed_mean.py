"""Coordinate-wise trimmed mean: each element is averaged without the highest and lowest few; weights are not used.

Yin, Chen, Ramchandran, Bartlett: Byzantine-Robust Distributed Learning: Towards Optimal Statistical Rates. ICML 2018,
definition 2. https://arxiv.org/abs/1803.01498
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.plan import TrimmedMean
from fedward_server.aggregate.combination import Block, Combination, Rows, equal_shares
from fedward_server.aggregate.sorting_network import partly_sorted
from fedward_server.aggregate.weighted_sum import weighted_sum

_SLACK = 1e-9  # 0.29 × 100 is 28.999…96 in binary, and means 29


def trimmed(rule: TrimmedMean, updates: int) -> int:
    """Count the values cut off at each end of so many: `trim` times their number, rounded down."""
    return math.floor(rule.trim * updates + _SLACK)


def trimmed_mean(rule: TrimmedMean, updates: int) -> Combination:
    """Average each element over the ranks that are left of so many updates, `rule.fewest_updates` or more."""
    cut = trimmed(rule, updates)
    ranks = range(cut, updates - cut)
    mean = weighted_sum([1 / len(ranks)] * len(ranks))

    def combine(rows: Rows, out: Block, scratch: NDArray[np.float32]) -> None:
        ordered = partly_sorted(rows, ranks, scratch)
        mean(
            ordered[ranks.start : ranks.stop], out, ordered[0][np.newaxis]
        )  # the lowest is cut off, so its line is free

    return Combination(equal_shares(updates), combine)
