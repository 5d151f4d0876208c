"""Whether the MLflow server has been told everything there is, for probes, metrics and the log."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

from fedward_cli.tracking.at_hub.metrics import Metrics
from fedward_cli.tracking.follow import Book, World
from fedward_cli.tracking.trouble import TrackingError

_log = logging.getLogger(__name__)


class Told:
    """A logbook that keeps account of how telling the server of this name goes."""

    def __init__(self, book: Book, server: str, metrics: Metrics) -> None:
        self._book, self._server, self._metrics = book, server, metrics
        self.trouble: str | None = f"{server} has not been told anything yet"
        """Why the server has not been told everything there is; None where it has."""
        metrics.logged_round.set_function(lambda: self.logged)

    @property
    def logged(self) -> int:
        """Up to which round everything is logged."""
        return self._book.logged

    def advance(self, *, is_over: bool, now: float) -> None:
        """Log what there is that is not logged.

        Raises:
            TrackingError: the server could not be told.
        """
        try:
            self._book.advance(is_over=is_over, now=now)
        except TrackingError as error:
            self.trouble = f"{self._server} {error}"
            self._metrics.server_up.set(0)
            self._metrics.failures.inc()
            raise
        self.trouble = None
        self._metrics.server_up.set(1)

    def world(self, goes_on: Callable[[], bool]) -> World:
        """Give what following needs; what is said while there is trouble is a warning."""

        def say(line: str) -> None:
            _log.log(logging.WARNING if self.trouble else logging.INFO, "%s", line)

        return World(goes_on, time.time, time.sleep, random.random, say)
