"""Norm-clipped mean: updates longer than a bound are scaled down to it, then averaged as in FedAvg.

Sun, Kairouz, Suresh, McMahan: Can You Really Backdoor Federated Learning? 2019, section 5 (norm thresholding).
https://arxiv.org/abs/1911.07963
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.plan import NormClippedMean
from fedward_server.aggregate.combination import Combination, Survey, normalised
from fedward_server.aggregate.weighted_sum import weighted_sum


def norms(updates: int, survey: Survey, block: int) -> NDArray[np.float64]:
    """Measure the L2 norm of each of so many updates in one reading, in blocks of at most `block` elements.

    Returns:
        Norms over all tensors of an update together, float64, shape (updates,).
    """
    squares = np.zeros(updates)
    wide = np.empty(block)
    for rows in survey():
        for place, row in enumerate(rows):
            part = wide[: row.size]
            part[:] = row
            squares[place] += np.dot(part, part)
    return np.sqrt(squares)


def norm_clipped_mean(rule: NormClippedMean, weights: Sequence[float], survey: Survey, block: int) -> Combination:
    """Weigh each update by its share of all weights, after clipping it to `max_norm`."""
    shares = normalised(weights)
    lengths = norms(len(weights), survey, block)
    clipped = rule.max_norm / np.maximum(lengths, rule.max_norm)
    return Combination(
        shares, weighted_sum([share * clip for share, clip in zip(shares, clipped.tolist(), strict=True)])
    )
