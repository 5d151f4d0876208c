"""Logs a run's folder to MLflow: rounds as they close, and at the end how it ended, its model and its report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from fedward_cli.local.folder import Folder
from fedward_cli.results import REPORT, RESULT, Result, read_result
from fedward_cli.tracking.mlflow_run import Status
from fedward_cli.tracking.points import Point, points_of
from fedward_cli.tracking.story import Story
from fedward_cli.tracking.trouble import TrackingError
from fedward_protocol.digest import digest_file

_STATUS: dict[str, Status] = {"Completed": "FINISHED", "Failed": "FAILED"}
"""Of a run that is over; one that was stopped, or whose process is gone, was killed."""
_LONGEST_TAG = 500


class Server(Protocol):
    """What is logged to; see MlflowRun."""

    def attach(self) -> int:
        """Find the job's run or make it; return up to which round everything is logged."""

    def log(self, points: Sequence[Point], closed_round: int | None = None) -> None:
        """Log those points that are not there, and that the round has closed."""

    def tag(self, tags: Mapping[str, str]) -> None:
        """Set tags."""

    def set_status(self, status: Status, ended_at: float | None = None) -> None:
        """Say how the run goes, and when it ended, in Unix seconds."""

    def upload(self, path: Path, digest: str) -> None:
        """Log a file unless it is there."""


class Logbook:
    """Takes a run's folder to a server; after an error it begins where the server says that it had come to."""

    def __init__(self, folder: Folder, server: Server, chosen_by: str) -> None:
        self._folder, self._server, self._chosen_by = folder, server, chosen_by
        self._story = Story(folder.out)
        self._is_attached = False
        self.logged = 0
        """Up to which round everything is logged."""

    def advance(self, *, is_over: bool, now: float) -> None:
        """Log what there is that is not logged.

        Args:
            is_over: whether nothing more will be written to the folder; asked before the files are read.
            now: Unix seconds, for the end of a run whose own process could not write it down.

        Raises:
            TrackingError: the server could not be told.
        """
        try:
            self._attach(is_over)
            while chapter := self._story.next():
                assert chapter.closed is not None
                number = chapter.closed.round
                if number > self.logged:
                    self._server.log(points_of(chapter.parts, chapter.closed, self._chosen_by), number)
                    self.logged = number
                self._story.done()
            if is_over:
                self._end(now)
        except TrackingError:
            # What had been asked may have been done all the same: only the server knows.
            self._is_attached = False
            raise

    def _attach(self, is_over: bool) -> None:
        if not self._is_attached:
            self.logged = self._server.attach()
            # From the beginning: a server may have less than it had, as when its run was deleted or a backup restored.
            self._story = Story(self._folder.out)
            if not is_over:
                self._server.set_status("RUNNING")
            self._is_attached = True

    def _end(self, now: float) -> None:
        result = read_result(self._folder.out) if (self._folder.out / RESULT).exists() else None
        ended_at = result.finished_at.timestamp() if result and result.finished_at else now
        if result and result.state == "Completed":
            for chapter in self._story.rest():
                self._server.log(points_of(chapter.parts, None, self._chosen_by))
            self._server.log(list(_delivered(result, ended_at)))
        if result:
            self._server.tag(_tags(result))
        self._server.set_status(_STATUS.get(result.state, "KILLED") if result else "KILLED", ended_at)
        for path in (self._folder.plan, self._folder.model, self._folder.out / REPORT):
            if path.exists():
                self._server.upload(path, digest_file(path).digest.hex())


def _delivered(result: Result, at: float) -> Iterator[Point]:
    """Give what the delivered model reached under names of its own: the last point of a curve is the last round's."""
    if result.model is not None:
        for name, value in result.metrics.items():
            yield Point(f"delivered_{name}", value, result.model.round, at)


def _tags(result: Result) -> dict[str, str]:
    tags = {"fedward.state": result.state, "fedward.attempt": str(result.attempt)}
    if result.model:
        tags |= {"fedward.best_round": str(result.model.round), "fedward.model_sha256": result.model.digest}
    if result.failure:
        tags["fedward.failure"] = f"{result.failure.reason}: {result.failure.detail}"[:_LONGEST_TAG]
    elif result.attempt > 1:
        tags["fedward.failure"] = ""  # of an attempt before this one
    return tags
