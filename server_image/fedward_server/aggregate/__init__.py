"""Aggregation rules, one a file, each a function over blocks of the updates."""

from __future__ import annotations

from fedward_server.aggregate.blockwise import Aggregated, Contribution, aggregate
from fedward_server.aggregate.rules import check_enough

__all__ = ["Aggregated", "Contribution", "aggregate", "check_enough"]
