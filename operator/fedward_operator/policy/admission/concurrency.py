"""How many at once: those that run keep their places, then whoever has waited longest."""

from __future__ import annotations

from collections.abc import Sequence


def may_run(places: int, candidates: Sequence[tuple[str, bool]]) -> tuple[str, ...]:
    """Return the names that have a place.

    Args:
        places: how many there are.
        candidates: name and whether it runs already, the oldest first.
    """
    ordered = sorted(candidates, key=lambda candidate: not candidate[1])
    return tuple(name for name, _ in ordered[:places])
