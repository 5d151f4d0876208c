"""Which function a plan's aggregation rule stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from fedward_protocol.plan import Aggregation, FedAvg, FedAvgM, Krum, Median, NormClippedMean, TrimmedMean
from fedward_protocol.reasons import Reason, RefusedError
from fedward_server.aggregate.combination import Combination, Survey
from fedward_server.aggregate.fedavg import fedavg
from fedward_server.aggregate.krum import krum
from fedward_server.aggregate.median import median
from fedward_server.aggregate.norm_clipped_mean import norm_clipped_mean
from fedward_server.aggregate.trimmed_mean import trimmed_mean


def check_enough(rule: Aggregation, updates: int) -> None:
    """Check that so many updates, or a quorum of so many, are enough for the rule.

    A plan whose quorum is too low is refused before it starts. So a missing site never ends a round, since a round
    closes at quorum or not at all, and no round is ever aggregated with less protection than was asked for.

    Raises:
        RefusedError: QUORUM_LOST, they are too few; the detail says how many it takes.
    """
    if updates < rule.fewest_updates:
        needs = f"{rule.algorithm} as configured takes {rule.fewest_updates} updates, not {updates}"
        raise RefusedError(Reason.QUORUM_LOST, needs)


def prepare(rule: Aggregation, weights: Sequence[float], survey: Survey, block: int) -> Combination:
    """Make a rule ready for one round's updates, given their weights in site order.

    Raises:
        RefusedError: QUORUM_LOST, the updates are too few for the rule.
        ValueError: a weight is not positive and finite.
    """
    check_enough(rule, len(weights))
    match rule:
        case FedAvg() | FedAvgM():
            return fedavg(weights)
        case Median():
            return median(len(weights))
        case TrimmedMean():
            return trimmed_mean(rule, len(weights))
        case Krum():
            return krum(rule, len(weights), survey, block)
        case NormClippedMean():
            return norm_clipped_mean(rule, weights, survey, block)
        case _:
            assert_never(rule)
