"""Keep tensors at the site by name: their difference leaves as zeros."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from fedward_node.gateway.filters.stage import Stage
from fedward_protocol.plan import Exclude
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import BlockSource, Values
from fedward_protocol.tensors.layout import Layout


@dataclass(frozen=True, slots=True)
class _Without:
    source: BlockSource
    names: frozenset[str]

    def read(self, name: str, start: int, stop: int) -> Values:
        if name in self.names:
            return np.zeros(stop - start, np.float32)
        return self.source.read(name, start, stop)


def exclude(rule: Exclude, source: BlockSource, model: Layout) -> Stage:
    """Zero the tensors that match a pattern; what is left carries no guarantee.

    Raises:
        RefusedError: FILTER_FAILED: a pattern matches no tensor. It was meant to hold something back, and the typing
            error in it would let that out.
    """
    names: set[str] = set()
    for pattern in rule.tensors:
        matching = {spec.name for spec in model.specs if fnmatchcase(spec.name, pattern)}
        if not matching:
            raise RefusedError(Reason.FILTER_FAILED, f"exclude: no tensor of the model matches {pattern!r}")
        names |= matching
    return Stage(_Without(source, frozenset(names)))
