"""When a trouble that comes again and again is worth another line: an outage of a night must not fill a log."""

from __future__ import annotations


class Repeats:
    """Counts how often the same was found in a row."""

    def __init__(self) -> None:
        self._found = ""
        self.times = 0
        """How often what was found last has been found without anything else in between."""

    def is_news(self, found: str) -> bool:
        """Tell whether this is worth a line: the first time, when it is another, and then ever more seldom."""
        self.times = self.times + 1 if found == self._found else 1
        self._found = found
        return self.times & (self.times - 1) == 0  # 1, 2, 4, 8, ...

    def over(self) -> None:
        """Take it that the trouble is over: what comes next is news."""
        self._found = ""
