"""Which model is the best: the plan's metric as one mean over all cases of all sites that evaluated it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from fedward_server.events import Mean


def score(reports: Iterable[Mapping[str, Mean]], metric: str) -> float | None:
    """Average `metric` over the sites' cases; None where nobody counted a case.

    `reports` must come in site order, so that the floating-point sum is the same on every replay.
    """
    means = [report[metric] for report in reports if metric in report]
    count = sum(mean.count for mean in means)
    return sum(mean.sum for mean in means) / count if count else None


def is_better(candidate: float | None, best: float | None) -> bool:
    """Say whether a later model replaces the best one so far; at equal scores the longer trained one does."""
    return candidate is not None and (best is None or candidate >= best)
