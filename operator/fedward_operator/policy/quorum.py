"""How many sites close a round, and whether enough of them are there."""

from __future__ import annotations

from fedward_operator.api.job import RoundsSpec
from fedward_operator.api.scalars import share_of

TAKES_PART = ("Attending", "Training", "Submitted")
"""States of sites whose update may still come."""

COUNTS = (*TAKES_PART, "Completed")
"""States of sites that a quorum counts."""


def quorum_of(rounds: RoundsSpec, nsites: int) -> int:
    """Give the number of updates that close a round among `nsites` sites; at least 1, at least minSites."""
    return max(share_of(rounds.quorum, nsites), min(rounds.min_sites, nsites or 1), 1)
