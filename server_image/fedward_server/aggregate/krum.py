"""Krum and Multi-Krum: the mean of the few updates that lie closest to their neighbours; weights are not used.

Blanchard, El Mhamdi, Guerraoui, Stainer: Machine Learning with Adversaries: Byzantine Tolerant Gradient Descent.
NeurIPS 2017, sections 4 and 5. https://arxiv.org/abs/1703.02757
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fedward_protocol.plan import Krum
from fedward_server.aggregate.combination import Combination, Survey
from fedward_server.aggregate.weighted_sum import weighted_sum

_SAME = 1e-12
"""Squared distance, relative to the squared norms, below which two float32 updates count as the same."""


def squared_distances(updates: int, survey: Survey, block: int) -> NDArray[np.float64]:
    """Measure all pairs of so many updates in one reading, in blocks of at most `block` elements.

    Products of float32 are exact in float64, so what a huge update loses in precision it loses in its own rows alone.

    Returns:
        Squared Euclidean distances, shape (updates, updates), symmetric.
    """
    products = np.zeros((updates, updates))
    wide = np.empty((updates, block))
    for rows in survey():
        size = rows[0].size
        for line, row in zip(wide, rows, strict=True):
            line[:size] = row
        products += wide[:, :size] @ wide[:, :size].T
    norms = np.diag(products)
    scale = norms[:, np.newaxis] + norms
    distances = scale - 2 * products
    distances[distances <= _SAME * scale] = 0.0  # so that equal updates tie, whatever the last bits of the products
    return distances


def closest(rule: Krum, distances: NDArray[np.float64]) -> list[int]:
    """Choose the `keep` updates with the least sum of distances to their n − byzantine − 2 nearest; ties by site order.

    Returns:
        Their places in site order, ascending.
    """
    updates = len(distances)
    others = distances[~np.eye(updates, dtype=bool)].reshape(updates, updates - 1)
    scores = np.sort(others, axis=1)[:, : updates - rule.byzantine - 2].sum(axis=1)
    return sorted(np.argsort(scores, kind="stable")[: rule.keep].tolist())


def krum(rule: Krum, updates: int, survey: Survey, block: int) -> Combination:
    """Read all updates once, choose, and average the chosen with equal shares; the others' shares are zero."""
    chosen = closest(rule, squared_distances(updates, survey, block))
    shares = [0.0] * updates
    for place in chosen:
        shares[place] = 1 / len(chosen)
    return Combination(tuple(shares), weighted_sum([1 / len(chosen)] * len(chosen)))
