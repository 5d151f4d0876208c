"""Run an update through the filters and write what may leave; on any doubt nothing is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedward_node.gateway.accounting import Cost, Guarantee, guarantee
from fedward_node.gateway.filters.exclude import exclude
from fedward_node.gateway.filters.gaussian_noise import gaussian_noise
from fedward_node.gateway.filters.norm_clip import norm_clip
from fedward_node.gateway.filters.percentile import percentile
from fedward_node.gateway.filters.sparse_vector import sparse_vector
from fedward_node.gateway.filters.stage import Claim, Stage
from fedward_node.gateway.randomness import Randomness
from fedward_protocol.plan import Encoding, Exclude, Filter, GaussianNoise, NormClip, Percentile, SparseVector
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.blocks import BlockSource, Values
from fedward_protocol.tensors.finite import all_finite
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.update import UpdateFile, encode_update

_PASSED_ON = frozenset({Reason.FILTER_FAILED, Reason.STORAGE_FULL})
"""Reasons that the sender can act on; every other failure in here is the filter's."""


@dataclass(frozen=True, slots=True)
class FilteredRelease:
    """An update that may leave.

    Attributes:
        path: the file, in the plan's encoding.
        digest: its SHA-256, 32 bytes.
        nbytes: its length.
        filters: names of the filters that ran, in order.
        cost: what the ledger is to be charged; None where no filter gives a guarantee.
        guarantee: the (ε, δ) of this update; None likewise.
        seconds: how long filtering and encoding took.
    """

    path: Path
    digest: bytes
    nbytes: int
    filters: tuple[str, ...]
    cost: Cost | None
    guarantee: Guarantee | None
    seconds: float

    @property
    def epsilon(self) -> float:
        """Total ε as the wire has it: 0 where there is no guarantee, with `is_meaningful` false beside it."""
        return self.guarantee.epsilon if self.guarantee else 0.0

    @property
    def delta(self) -> float:
        """Give the δ that goes with `epsilon`."""
        return self.guarantee.delta if self.guarantee else 0.0

    @property
    def is_meaningful(self) -> bool:
        """Whether there is a guarantee, and an ε small enough to protect anyone."""
        return self.guarantee is not None and self.guarantee.is_meaningful


@dataclass(frozen=True, slots=True)
class _Finite:
    """Stops at the first NaN or infinity: comparisons with NaN are false, so clips and cuts would let it by."""

    source: BlockSource

    def read(self, name: str, start: int, stop: int) -> Values:
        values = self.source.read(name, start, stop)
        if not all_finite(values):
            raise RefusedError(Reason.FILTER_FAILED, f"{name} holds NaN or infinity")
        return values


def release(
    update: UpdateFile,
    model: Layout,
    chain: Sequence[Filter],
    encoding: Encoding,
    out: Path,
    randomness: Randomness,
    clock: Callable[[], float] = time.perf_counter,
) -> FilteredRelease:
    """Filter an update block by block into `out`; memory stays at a few blocks whatever its size.

    Args:
        update: what the trainer sent.
        model: the layout of the model that it is an update of.
        chain: the filters, the plan's first and then the site's floor.
        encoding: how `out` is written.
        out: written atomically; not there after any failure.
        randomness: for this release alone, never used for another input, output or chain.
        clock: seconds, from any origin.

    Raises:
        RefusedError: FILTER_FAILED, anything at all went wrong; STORAGE_FULL, the disk is full.
    """
    started = clock()
    out.unlink(missing_ok=True)
    is_released = False
    try:
        # Parameters beyond arithmetic raise instead of turning into infinities that a later clip would hide.
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            source, claims = _run(_Finite(update), model, chain, randomness)
            written = encode_update(out, source, model, encoding)
        with UpdateFile.open(out, model) as written_update:
            written_update.check_finite()  # noise may overflow a narrow encoding
        promise = _strongest(claims)
        is_released = True
    except RefusedError as refused:
        if refused.reason in _PASSED_ON:
            raise
        raise RefusedError(Reason.FILTER_FAILED, str(refused)) from refused
    except Exception as error:
        raise RefusedError(Reason.FILTER_FAILED, f"{type(error).__name__}: {error}") from error
    finally:
        if not is_released:
            out.unlink(missing_ok=True)
    return FilteredRelease(
        path=out,
        digest=written.digest,
        nbytes=written.nbytes,
        filters=tuple(rule.name for rule in chain),
        cost=promise.cost if promise else None,
        guarantee=guarantee(promise.cost, promise.delta) if promise else None,
        seconds=clock() - started,
    )


def _run(
    source: BlockSource, model: Layout, chain: Sequence[Filter], randomness: Randomness
) -> tuple[BlockSource, list[Claim]]:
    claims = []
    for place, rule in enumerate(chain):
        stage = _stage(rule, source, model, randomness.derive(place.to_bytes(4, "big"), rule.name.encode()))
        source = _Finite(stage.source)
        if stage.claim is not None:
            claims.append(stage.claim)
    return source, claims


def _stage(rule: Filter, source: BlockSource, model: Layout, randomness: Randomness) -> Stage:
    match rule:
        case NormClip():
            return norm_clip(rule, source, model)
        case Percentile():
            return percentile(rule, source, model)
        case SparseVector():
            return sparse_vector(rule, source, model, randomness)
        case GaussianNoise():
            return gaussian_noise(rule, source, model, randomness.stream("values"))
        case Exclude():
            return exclude(rule, source, model)
    raise RefusedError(Reason.FILTER_FAILED, f"{type(rule).__name__} is no filter that this gateway knows")


def _strongest(claims: Sequence[Claim]) -> Claim | None:
    """Pick the strongest guarantee, which holds for the whole chain.

    Only the last filter's output leaves. What follows a private filter cannot weaken it (post-processing), and what
    comes before cannot either, since it hides which of *any* two updates came in; so the costs are not added.
    """
    return min(claims, key=lambda claim: guarantee(claim.cost, claim.delta).epsilon, default=None)
