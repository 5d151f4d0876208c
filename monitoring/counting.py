"""How much was counted within a time, in PromQL; for panels and alerts alike."""

from __future__ import annotations

_REMEMBERED = "6h"


def counted(counter: str, window: str) -> str:
    """Say in PromQL by how much each series of a counter has risen within `window`, such as `1h`, in whole numbers.

    `counter` is a selector of series, each of which begins at 1 or more when something is counted first.
    """
    # `increase` minds restarts and does not see a series begin, so one that was not there before counts in full. It
    # was there if it was seen at any moment of the six hours before: a gap in the scrapes does not make it new. To a
    # Prometheus that has just been installed all is new: better told once of what is old than of nothing for hours.
    began = f"last_over_time({counter}[{window}]) unless last_over_time({counter}[{_REMEMBERED}] offset {window})"
    return f"{began}\n  or round(increase({counter}[{window}]))"
