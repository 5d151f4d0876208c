"""The process that logs a run beside it: asked for by the job, and kept from getting in the run's way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from fedward_cli.local import tracker as tracking
from fedward_cli.local.folder import Folder
from fedward_cli.local.tracker import Tracker
from fedward_cli.problems import InputError
from fedward_operator.api.tracking import Tracking

MLFLOW = Tracking.model_validate({"mlflow": {"uri": "https://mlflow.example.org"}})


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    folder = Folder(tmp_path)
    folder.make()
    return folder


def test_a_job_that_names_no_server_needs_nothing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "is_installed", lambda: False)
    lines: list[str] = []
    tracker = Tracker(folder, None, lines.append)
    tracker.start()
    tracker.finish()
    assert (lines, (folder.run / "tracking.json").exists()) == ([], False)


def test_without_the_client_a_job_that_names_one_is_refused_before_anything_starts(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking, "is_installed", lambda: False)
    with pytest.raises(InputError, match=r"pip install 'fedward\[tracking\]'"):
        Tracker(folder, MLFLOW, lambda line: None)


def test_what_it_says_is_passed_on_and_what_goes_wrong_in_it_stays_in_its_log(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = "import sys; print('away'); print('a traceback', file=sys.stderr); sys.exit(3)"
    monkeypatch.setattr(tracking, "PROGRAM", (sys.executable, "-c", program))
    monkeypatch.setattr(tracking, "BACKOFF", tracking.Backoff(limit=0))
    lines: list[str] = []
    tracker = Tracker(folder, MLFLOW, lines.append)
    tracker.start()
    tracker.finish()
    assert (lines[0], lines[-1]) == ("away", f"log the rest later with: fedward track {folder.out}")
    assert folder.log("tracker").read_text() == "a traceback\n"


def test_one_that_does_not_end_is_ended(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    program = "import signal, threading; signal.signal(signal.SIGTERM, signal.SIG_IGN); threading.Event().wait()"
    monkeypatch.setattr(tracking, "PROGRAM", (sys.executable, "-c", program))
    monkeypatch.setattr(tracking, "STOP_GRACE_S", 0.0)
    lines: list[str] = []
    tracker = Tracker(folder, MLFLOW, lines.append)
    tracker.start()
    tracker.finish(longest_wait_s=0.0)
    assert lines == [f"log the rest later with: fedward track {folder.out}"]


def test_one_that_keeps_crashing_is_given_up(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "PROGRAM", (sys.executable, "-c", "import os; print('up'); os.abort()"))
    monkeypatch.setattr(tracking, "BACKOFF", tracking.Backoff(limit=2, first_s=0.0))
    lines: list[str] = []
    tracker = Tracker(folder, MLFLOW, lines.append)
    tracker.start()
    tracker.finish()
    assert lines[:3] == ["up"] * 3
    assert lines[3].startswith("logging to MLflow keeps failing; see ")
