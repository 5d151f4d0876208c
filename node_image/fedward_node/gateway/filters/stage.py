"""What every filter takes and gives: lazy sources of blocks, so that nothing between raw and filtered is stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from fedward_node.gateway.accounting import Cost
from fedward_protocol.tensors.blocks import BlockSource, blocks
from fedward_protocol.tensors.layout import Layout


@dataclass(frozen=True, slots=True)
class Claim:
    """What a filter guarantees about all that comes after it: the privacy cost, and the δ to state it at."""

    cost: Cost
    delta: float


@dataclass(frozen=True, slots=True)
class Stage:
    """A filter's result: its output as a source that computes blocks when they are read, and its guarantee if any."""

    source: BlockSource
    claim: Claim | None = None


@dataclass(frozen=True, slots=True)
class Positions:
    """Every element's place in one flat row over all tensors: a tensor's `first` plus the place within it."""

    first: Mapping[str, int]
    size: int

    @classmethod
    def of(cls, model: Layout) -> Positions:
        """Number the elements in the file's order."""
        first: dict[str, int] = {}
        size = 0
        for name, start, stop in blocks(model):
            first.setdefault(name, size - start)
            size += stop - start
        return cls(MappingProxyType(first), size)
