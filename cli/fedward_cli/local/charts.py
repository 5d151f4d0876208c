"""TensorBoard's files of a run that goes on: what cannot be written is said once, and never stops training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from fedward_cli.local.history import closed_round
from fedward_cli.results import RoundRecord, read_closed, read_rounds
from fedward_cli.tracking.event_files import FOLDER, EventFiles
from fedward_protocol.plan import Plan
from fedward_protocol.wire import federation_pb2 as pb


class Charts:
    """Adds each closed round to `tensorboard/`."""

    def __init__(self, out: Path, plan: Plan, say: Callable[[str], None]) -> None:
        self._out, self._say = out, say
        self._files: EventFiles | None = EventFiles(out, plan.evaluation.metric)

    def catch_up(self, *, is_over: bool) -> None:
        """Write what the run's records hold and the files lack; the last model's evaluation only once all is over."""
        self._try(lambda files: files.begin(read_rounds(self._out), read_closed(self._out), is_over=is_over))

    def add(self, records: Sequence[RoundRecord], closed: Sequence[pb.RoundClosed]) -> None:
        """Write rounds that have closed."""

        def write(files: EventFiles) -> None:
            for each in closed:
                files.add(records, closed_round(each))

        self._try(write)

    def _try(self, write: Callable[[EventFiles], None]) -> None:
        if self._files is None:
            return
        try:
            write(self._files)
        except OSError as error:
            self._files = None
            self._say(f"{self._out / FOLDER} cannot be written ({error}); training goes on without it")
