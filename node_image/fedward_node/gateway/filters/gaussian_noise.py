"""Clip the update to `max_norm`, then add N(0, (multiplier · max_norm)²) to each element (Dwork & Roth, 2014)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedward_node.gateway import accounting
from fedward_node.gateway.filters.norm_clip import clipped
from fedward_node.gateway.filters.stage import Claim, Positions, Stage
from fedward_node.gateway.randomness import Stream
from fedward_protocol.plan import GaussianNoise
from fedward_protocol.tensors.blocks import BlockSource, Values
from fedward_protocol.tensors.layout import Layout


@dataclass(frozen=True, slots=True)
class _Noisy:
    source: BlockSource
    positions: Positions
    noise: Stream
    deviation: float

    def read(self, name: str, start: int, stop: int) -> Values:
        at = self.positions.first[name]
        noisy = self.noise.normal(at + start, at + stop)
        noisy *= self.deviation
        noisy += self.source.read(name, start, stop)
        return noisy.astype(np.float32)


def gaussian_noise(rule: GaussianNoise, source: BlockSource, model: Layout, noise: Stream) -> Stage:
    """Hide which update of norm ≤ `max_norm` it was, to the (ε, δ) that `accounting.gaussian` states."""
    bounded = clipped(source, model, rule.max_norm)
    noisy = _Noisy(bounded, Positions.of(model), noise, rule.multiplier * rule.max_norm)
    return Stage(noisy, Claim(accounting.gaussian(rule.multiplier), rule.delta))
