"""Share a few noisy values by the sparse vector technique (Li et al., 2019, section 2.2; Shokri & Shmatikov, 2015).

A threshold with noise Lap(γ/ε1) is drawn once. Pass after pass over the parameters not released yet, in an order drawn
anew, each is compared: it is released when |w| + Lap(2γ/ε2) reaches the threshold, until `keep` of all are. What leaves
is w + Lap(2γ/ε3), clipped again. Here w is clipped to ±γ *before* the noise: without that its sensitivity, and so ε,
would have no bound. γ is the sensitivity of |w|, 2γ that of w, whose sign may change.

ε2 and ε3 are per released parameter, as the paper's experiments have it; `accounting.sparse_vector` adds them up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedward_node.gateway import accounting
from fedward_node.gateway.filters.largest import Cut, cut_at, share
from fedward_node.gateway.filters.stage import Claim, Positions, Stage
from fedward_node.gateway.randomness import Randomness, Reals, Stream
from fedward_protocol.plan import SparseVector
from fedward_protocol.tensors.blocks import BlockSource, Values
from fedward_protocol.tensors.layout import Layout

_FARTHEST = 80.0
"""Noise scales below the threshold from which on all count as equally far: e⁻⁸⁰ a pass is never, yet still an fp32."""


@dataclass(frozen=True, slots=True)
class _Comparisons:
    """The outcome of all passes at once.

    A parameter whose comparison succeeds with chance p is released in pass T, geometric with that p. So one draw of T
    stands for all its comparisons, and the first to be released are those with the smallest (T, place in that pass).
    That is the same distribution as running the passes, however many they are, in a time that is known beforehand.
    """

    source: BlockSource
    positions: Positions
    clip: float
    threshold: float
    scale: float
    waits: Stream
    order: Stream

    def scores(self, name: str, start: int, stop: int) -> Values:
        """Return scores that are the larger the earlier a parameter is released."""
        first = self.positions.first[name] + start
        last = first + stop - start
        magnitude = np.abs(self.source.read(name, start, stop)).astype(np.float64)
        distance = (self.threshold - np.minimum(magnitude, self.clip, out=magnitude)) / self.scale
        passes = np.ceil(self.waits.exponential(first, last) / _rate(distance))
        np.maximum(passes, 1.0, out=passes)
        passes -= 1.0
        passes += self.order.uniform(first, last)
        return np.reciprocal(passes, out=passes).astype(np.float32)


@dataclass(frozen=True, slots=True)
class _Released:
    comparisons: _Comparisons
    cut: Cut
    noise: Stream
    scale: float

    def read(self, name: str, start: int, stop: int) -> Values:
        clip = self.comparisons.clip
        first = self.comparisons.positions.first[name] + start
        chosen = self.cut.chosen(self.comparisons.scores(name, start, stop), first)
        values = np.clip(self.comparisons.source.read(name, start, stop), -clip, clip).astype(np.float64)
        values += self.noise.laplace(first, first + stop - start) * self.scale
        np.clip(values, -clip, clip, out=values)
        return np.where(chosen, values, 0.0).astype(np.float32)


def sparse_vector(rule: SparseVector, source: BlockSource, model: Layout, randomness: Randomness) -> Stage:
    """Release `keep` of all parameters; the (ε, δ) of `accounting.sparse_vector` holds for the whole of them."""
    positions = Positions.of(model)
    if positions.size == 0:
        return Stage(source)
    released = share(rule.keep, positions.size)
    threshold = rule.threshold + rule.clip / rule.epsilon1 * float(randomness.stream("threshold").laplace(0, 1)[0])
    comparisons = _Comparisons(
        source,
        positions,
        rule.clip,
        threshold,
        2 * rule.clip / rule.epsilon2,
        randomness.stream("waits"),
        randomness.stream("order"),
    )
    cut = cut_at(released, comparisons.scores, model, positions)
    output = _Released(comparisons, cut, randomness.stream("values"), 2 * rule.clip / rule.epsilon3)
    cost = accounting.sparse_vector(released, rule.epsilon1, rule.epsilon2, rule.epsilon3)
    return Stage(output, Claim(cost, accounting.COMPOSITION_DELTA))


def _rate(distance: Reals) -> Reals:
    """Return -ln(1 - p) for p = P(Lap(1) ≥ distance): an exponential divided by it, rounded up, is geometric."""
    half = 0.5 * np.exp(-np.minimum(np.abs(distance), _FARTHEST))
    return np.where(distance >= 0, -np.log1p(-half), math.log(2) - distance)
