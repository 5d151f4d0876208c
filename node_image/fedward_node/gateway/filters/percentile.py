"""Share only the largest part of the update, all else as zeros (Li et al., 2019, section 2.2, arXiv:1910.00962)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fedward_node.gateway.filters.largest import Cut, cut_at, share
from fedward_node.gateway.filters.stage import Positions, Stage
from fedward_protocol.plan import Percentile
from fedward_protocol.tensors.blocks import BlockSource, Values
from fedward_protocol.tensors.layout import Layout


@dataclass(frozen=True, slots=True)
class _Largest:
    source: BlockSource
    positions: Positions
    cut: Cut
    clip: float | None

    def read(self, name: str, start: int, stop: int) -> Values:
        values = self.source.read(name, start, stop)
        chosen = self.cut.chosen(np.abs(values), self.positions.first[name] + start)
        # Not a product with the mask, which would let the sign of what stays behind out as -0.
        kept = np.where(chosen, values, np.float32(0))
        return kept if self.clip is None else np.clip(kept, -self.clip, self.clip, out=kept)


def percentile(rule: Percentile, source: BlockSource, model: Layout) -> Stage:
    """Keep the `keep` share of all elements whose magnitude is largest; it guarantees no privacy by itself."""
    positions = Positions.of(model)
    if positions.size == 0:
        return Stage(source)
    k = share(rule.keep, positions.size)
    cut = cut_at(k, lambda name, start, stop: np.abs(source.read(name, start, stop)), model, positions)
    return Stage(_Largest(source, positions, cut, rule.clip))
