"""When a trouble that comes again and again is worth another line: an outage of a night must not fill a log."""

from __future__ import annotations

MOST_JOBS = 64
"""Jobs that are told apart at a time: more than run at once at any site."""


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


class RepeatsByJob:
    """A count of each job's own, so that the troubles of two at once are not each other's news."""

    def __init__(self) -> None:
        self._jobs: dict[str, Repeats] = {}

    def of(self, uid: str) -> Repeats:
        """Return a job's; of too many jobs, the one that was asked for longest ago is forgotten."""
        repeats = self._jobs[uid] = self._jobs.pop(uid, Repeats())
        if len(self._jobs) > MOST_JOBS:
            del self._jobs[next(iter(self._jobs))]
        return repeats
