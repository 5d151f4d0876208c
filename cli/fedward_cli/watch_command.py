"""`fedward watch`: a job as it goes, to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Literal

from fedward_cli.progress.state import Progress
from fedward_cli.progress.track import Track
from fedward_cli.progress.view import View

Outcome = Literal["Completed", "Failed", "Stopped"]


def watch(source: Iterator[Progress], view: View, now: Callable[[], datetime]) -> Outcome | None:
    """Show a job until it ends, and return how; None where its source ran dry before.

    Raises:
        ClusterError: it cannot be watched.
    """
    track = Track()
    try:
        for progress in source:
            track.take(progress, now())
            view.show(progress, track, now())
            if progress.outcome is not None:
                return progress.outcome
        return None
    finally:
        view.close()
