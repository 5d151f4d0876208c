"""Federated averaging: the mean of the updates, weighted by training cases.

McMahan, Moore, Ramage, Hampson, Agüera y Arcas: Communication-Efficient Learning of Deep Networks from Decentralized
Data. AISTATS 2017, algorithm 1. https://arxiv.org/abs/1602.05629
"""

from __future__ import annotations

from collections.abc import Sequence

from fedward_server.aggregate.combination import Combination, normalised
from fedward_server.aggregate.weighted_sum import weighted_sum


def fedavg(weights: Sequence[float]) -> Combination:
    """Weigh each update by its share of all weights."""
    shares = normalised(weights)
    return Combination(shares, weighted_sum(shares))
