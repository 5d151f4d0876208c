"""How good a model is, and which is the best: metrics as one mean over all cases of all sites that evaluated it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fedward_server.events import Mean


def score_all(reports: Sequence[Mapping[str, Mean]]) -> dict[str, float]:
    """Average each metric over the sites' cases; one that nobody counted a case of is left out.

    `reports` must come in site order, so that the floating-point sums are the same on every replay.
    """
    names = sorted({name for report in reports for name in report})
    scores = {name: _score([report[name] for report in reports if name in report]) for name in names}
    return {name: value for name, value in scores.items() if value is not None}


def is_better(candidate: float | None, best: float | None) -> bool:
    """Say whether a later model replaces the best one so far; at equal scores the longer trained one does."""
    return candidate is not None and (best is None or candidate >= best)


def _score(means: Sequence[Mean]) -> float | None:
    count = sum(mean.count for mean in means)
    return sum(mean.sum for mean in means) / count if count else None
