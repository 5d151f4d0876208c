"""Makes the next global model from a round's updates, block by block over memory maps, in site order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from fedward_protocol.digest import FileDigest
from fedward_protocol.plan import Aggregation, FedAvgM
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import BlockSource
from fedward_protocol.tensors.file import TensorFile, TensorWriter
from fedward_protocol.tensors.layout import Layout
from fedward_server.aggregate.combination import Block, Combination, Rows
from fedward_server.aggregate.fedavgm import accelerate
from fedward_server.aggregate.rules import prepare

LARGEST_BLOCK = 65_536
"""Elements: 256 KiB of fp32, so that a sum, a product and the row that is read stay in a core's cache together."""
ROWS = 1 << 20
"""Elements of all sites' rows together, 4 MiB of fp32: more sites make the blocks smaller, not the memory larger."""
SMALLEST_BLOCK = 4_096
"""Elements: an encoding's own block (int8), and enough to hide what a call costs."""

Change: TypeAlias = tuple[str, int, Block]
"""A tensor's name, the first of its elements meant, and what is to be added from there on."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """A site's update, the difference of weights, with what it weighs (training cases, capped)."""

    site: str
    update: BlockSource
    weight: float


@dataclass(frozen=True, slots=True)
class Aggregated:
    """The next global model.

    Attributes:
        model: digest of the file that was written.
        weights: each site's share in the aggregate; they add up to 1.
        momentum: digest of the velocity's file, where the rule keeps one.
    """

    model: FileDigest
    weights: dict[str, float]
    momentum: FileDigest | None = None


def aggregate(
    rule: Aggregation,
    contributions: Sequence[Contribution],
    model: TensorFile,
    momentum: TensorFile | None,
    out: Path,
    momentum_out: Path | None,
) -> Aggregated:
    """Write model + rule(updates) to `out`, in fp32 and with the model's layout.

    The result depends on the model, the updates and their weights alone: a re-run gives the same bytes, and so does any
    order of contributions. Both files appear whole or not at all, the velocity's first; a run that was interrupted
    between the two is simply run again.

    Args:
        rule: the plan's aggregation rule.
        contributions: one a site, updates of the model's layout that hold finite values only.
        model: this round's global model, fp32.
        momentum: the velocity after the round before; None in the first round, or where the rule keeps none.
        out: where the next global model goes.
        momentum_out: where the velocity after this round goes, another file than `momentum`; None where the rule keeps
            none.

    Raises:
        RefusedError: QUORUM_LOST, too few updates for the rule; NOT_FINITE, the sum grew beyond float32; STORAGE_FULL.
        ValueError: no or doubled sites, a weight that is not positive, or momentum files that do not fit the rule.
    """
    if isinstance(rule, FedAvgM) != (momentum_out is not None):
        raise ValueError("a velocity is kept by FedAvgM, and by no other rule")
    ordered = sorted(contributions, key=lambda contribution: contribution.site)
    sites = [contribution.site for contribution in ordered]
    if not sites or len(set(sites)) != len(sites):
        raise ValueError(f"one contribution a site is needed: {sites}")
    updates = [contribution.update for contribution in ordered]
    block = block_size(len(sites))

    def survey() -> Iterator[Rows]:
        for name, start, stop in pieces(model.layout, block):
            yield [update.read(name, start, stop) for update in updates]

    combination = prepare(rule, [contribution.weight for contribution in ordered], survey, block)
    counted = [update for update, share in zip(updates, combination.shares, strict=True) if share > 0]
    changes = _changes(combination, counted, model.layout, block)
    try:
        with np.errstate(over="raise", invalid="raise"), TensorWriter(out, model.layout) as writer:
            digest = None
            if isinstance(rule, FedAvgM) and momentum_out is not None:
                with TensorWriter(momentum_out, model.layout) as velocities:
                    _add(model, _accelerated(rule, changes, momentum, velocities), writer)
                    digest = velocities.commit()
            else:
                _add(model, changes, writer)
            return Aggregated(writer.commit(), dict(zip(sites, combination.shares, strict=True)), digest)
    except FloatingPointError as error:
        raise RefusedError(Reason.NOT_FINITE, f"the aggregate is too large for float32 ({error})") from error


def block_size(sites: int) -> int:
    """Give the elements of a block, so that what is in memory does not grow with the number of sites."""
    aligned = ROWS // sites // SMALLEST_BLOCK * SMALLEST_BLOCK
    return max(SMALLEST_BLOCK, min(LARGEST_BLOCK, aligned))


def pieces(layout: Layout, block: int) -> Iterator[tuple[str, int, int]]:
    """Yield (name, start, stop) over all elements, at most `block` at a time, in the file's order."""
    for name in layout.starts:
        size = layout.spec(name).size
        for start in range(0, size, block):
            yield name, start, min(start + block, size)


def _changes(combination: Combination, counted: Sequence[BlockSource], layout: Layout, block: int) -> Iterator[Change]:
    """Yield the aggregate's blocks; each is overwritten by the next."""
    change = np.empty(block, np.float32)
    scratch = np.empty((len(counted) + 1, block), np.float32)
    for name, start, stop in pieces(layout, block):
        size = stop - start
        rows = [update.read(name, start, stop) for update in counted]
        combination.combine(rows, change[:size], scratch[:, :size])
        yield name, start, change[:size]


def _accelerated(
    rule: FedAvgM, changes: Iterator[Change], momentum: TensorFile | None, writer: TensorWriter
) -> Iterator[Change]:
    velocity = np.empty(LARGEST_BLOCK, np.float32)
    for name, start, change in changes:
        part = velocity[: change.size]
        part[:] = momentum.read(name, start, start + change.size) if momentum is not None else 0.0
        accelerate(rule, part, change)
        writer.write(name, start, part)
        yield name, start, change


def _add(model: TensorFile, changes: Iterator[Change], writer: TensorWriter) -> None:
    for name, start, change in changes:
        np.add(model.read(name, start, start + change.size), change, out=change)
        writer.write(name, start, change)
