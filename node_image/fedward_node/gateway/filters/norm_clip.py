"""Scale the update down to an L2 norm of at most `max_norm`: one pass measures, the next scales."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from fedward_node.gateway.filters.stage import Stage
from fedward_protocol.plan import NormClip
from fedward_protocol.tensors.blocks import BlockSource, Values, blocks
from fedward_protocol.tensors.layout import Layout

_ROUNDING = 1 - 2.0**-22
"""Keeps the norm below the bound although every scaled value is rounded to fp32, half a unit of 2⁻²³ up at most."""


@dataclass(frozen=True, slots=True)
class _Scaled:
    source: BlockSource
    factor: float

    def read(self, name: str, start: int, stop: int) -> Values:
        scaled = self.source.read(name, start, stop) * np.float64(self.factor)
        return scaled.astype(np.float32)


def norm_clip(rule: NormClip, source: BlockSource, model: Layout) -> Stage:
    """Bound the norm; it guarantees no privacy by itself."""
    return Stage(clipped(source, model, rule.max_norm))


def clipped(source: BlockSource, model: Layout, max_norm: float) -> BlockSource:
    """Return the update itself where its norm is within the bound, else scaled to just below it."""
    norm = l2_norm(source, model)
    return source if norm <= max_norm else _Scaled(source, max_norm / norm * _ROUNDING)


def l2_norm(source: BlockSource, model: Layout) -> float:
    """Measure the L2 norm over all tensors together, in double precision."""
    square = 0.0
    for name, start, stop in blocks(model):
        values = source.read(name, start, stop).astype(np.float64)
        square += float(np.dot(values, values))
    return math.sqrt(square)
