"""Runs logged to a real MLflow server that is there, away, silent or locked: all is there in the end, and once."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tests.process.mlflow_gate import Gate
from tests.unit.cli.tracking.records import SITES, write_rounds
from toy_federation import documents, federate

from fedward_cli.local.folder import Folder
from fedward_cli.local.view import Lines
from fedward_cli.results import ModelRecord, Problem, Result, write_record
from fedward_cli.tracking.follow import World, follow
from fedward_cli.tracking.logbook import Logbook
from fedward_cli.tracking.mlflow_run import JOB_TAG, MARKER, MlflowRun
from fedward_cli.tracking.subject import Subject
from fedward_cli.tracking.trouble import TrackingError

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

LOG = "POST /api/2.0/mlflow/runs/log-batch"
STARTED = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A run's folder as the tests fill it."""
    folder = Folder(tmp_path / "out")
    folder.make()
    plan = documents(tmp_path).plan(f"uid-of-{tmp_path.name}")
    folder.plan.write_bytes(plan.canonical())
    return folder.out


def subject(out: Path, uid: str = "") -> Subject:
    uid = uid or f"uid-of-{out.parent.name}"
    return Subject(uid, "toy", f"research/{out.parent.name}", STARTED.timestamp(), {"a": "1"}, {"who": "we"})


def logbook(out: Path, gate: Gate, uid: str = "") -> Logbook:
    return Logbook(Folder(out), MlflowRun(gate.address, subject(out, uid), shares_disk=True), "dice")


def end(out: Path, state: str = "Completed", attempt: int = 1) -> None:
    """Write down how a run ended."""
    result = Result(
        state=state,
        name="toy",
        started_at=STARTED,
        finished_at=datetime(2026, 1, 2, 1, tzinfo=UTC),
        attempt=attempt,
        rounds_planned=3,
        model=ModelRecord(round=2, digest="ab" * 32),
        metrics={"dice": 0.8},
        failure=Problem(reason="QuorumLost", detail="too few") if state == "Failed" else None,
    )
    write_record(out / "result.json", result)
    (out / "model.safetensors").write_bytes(b"weights")
    (out / "report.html").write_text("<p>report")


class Logged:
    """What the server holds of one job."""

    def __init__(self, gate: Gate, experiment: str, uid: str) -> None:
        self._gate, self._client = gate, MlflowClient(gate.server)
        found = self._client.get_experiment_by_name(experiment)
        assert found is not None
        (self.run,) = self._client.search_runs([found.experiment_id], f"tags.`{JOB_TAG}` = '{uid}'")

    @property
    def tags(self) -> dict[str, str]:
        return dict(self.run.data.tags)

    def series(self, key: str) -> list[tuple[int, float]]:
        history = self._client.get_metric_history(self.run.info.run_id, key)
        return sorted((metric.step, metric.value) for metric in history)

    def files(self) -> set[str]:
        return {file.path for file in self._client.list_artifacts(self.run.info.run_id)}

    def check(self, rounds: int) -> None:
        """Hold that every key has each of its steps once, and none is missing."""
        assert self.series(MARKER) == [(number, number) for number in range(1, rounds + 1)]
        for key in self.run.data.metrics:
            steps = [step for step, _ in self.series(key)]
            assert len(steps) == len(set(steps)), f"{key} is there twice: {steps}"
        stored = Counter(self._gate.points)
        assert [point for point, count in stored.items() if count > 1] == []
        for site in SITES:
            assert [step for step, _ in self.series(f"{site}/train_loss")] == list(range(1, rounds + 1))
        assert [step for step, _ in self.series("north/dice")][:rounds] == list(range(rounds))


def logged(out: Path, gate: Gate, uid: str = "") -> Logged:
    about = subject(out, uid)
    return Logged(gate, about.experiment, about.uid)


@pytest.mark.parametrize("shares_disk", [True, False])
def test_artifacts_at_a_path_are_for_who_shares_the_servers_disk(
    out: Path, gate: Gate, tmp_path: Path, shares_disk: bool
) -> None:
    place = tmp_path / "of-the-server"
    MlflowClient(gate.server).create_experiment(subject(out).experiment, artifact_location=f"file://{place}")
    run = MlflowRun(gate.address, subject(out), shares_disk=shares_disk)
    run.attach()
    refused = pytest.raises(TrackingError, match="keeps artifacts at a path of its own machine")
    with contextlib.nullcontext() if shares_disk else refused:
        run.upload(Folder(out).plan, "ab")
    assert [path.name for path in place.rglob("*.json")] == (["plan.json"] if shares_disk else [])


def test_a_run_is_all_there_with_its_parameters_times_files_and_its_end(out: Path, gate: Gate) -> None:
    book = logbook(out, gate)
    write_rounds(out, 1, 2)
    book.advance(is_over=False, now=0)
    assert logged(out, gate).run.info.status == "RUNNING"
    write_rounds(out, 3, 3, evaluated=True)
    end(out)
    book.advance(is_over=True, now=0)

    found = logged(out, gate)
    found.check(rounds=3)
    assert found.series("dice") == [(0, 0.1), (1, 0.2), (2, 0.3), (3, 0.9)]
    assert found.series("delivered_dice") == [(2, 0.8)]
    assert found.run.data.params == {"a": "1"}
    assert (found.run.info.status, found.run.info.start_time, found.run.info.end_time) == (
        "FINISHED",
        1000 * STARTED.timestamp(),
        1000 * (STARTED.timestamp() + 3600),
    )
    assert (found.tags["fedward.best_round"], found.tags["who"]) == ("2", "we")
    assert found.files() == {"plan.json", "model.safetensors", "report.html"}


def test_logging_a_run_again_changes_nothing(out: Path, gate: Gate) -> None:
    write_rounds(out, 1, 3, evaluated=True)
    end(out)
    for _ in range(2):
        logbook(out, gate).advance(is_over=True, now=0)
    logged(out, gate).check(rounds=3)
    uploads = [request for request in gate.answered if request.startswith("PUT") and "model.safetensors" in request]
    assert len(uploads) == 1


@pytest.mark.parametrize("state", ["Failed", "Stopped"])
def test_how_a_run_ended_is_its_status_and_a_resumed_one_goes_on_in_the_same_run(
    out: Path, gate: Gate, state: str
) -> None:
    write_rounds(out, 1, 2)
    end(out, state)
    logbook(out, gate).advance(is_over=True, now=0)
    first = logged(out, gate)
    assert first.run.info.status == {"Failed": "FAILED", "Stopped": "KILLED"}[state]
    assert ("fedward.failure" in first.tags) == (state == "Failed")

    again = logbook(out, gate)
    again.advance(is_over=False, now=0)
    assert logged(out, gate).run.info.status == "RUNNING"
    write_rounds(out, 3, 3, evaluated=True)
    end(out, attempt=2)
    again.advance(is_over=True, now=0)
    last = logged(out, gate)
    last.check(rounds=3)
    assert (last.run.info.run_id, last.run.info.status) == (first.run.info.run_id, "FINISHED")
    assert last.tags.get("fedward.failure", "") == ""


def test_two_jobs_of_one_name_are_two_runs_of_one_experiment(out: Path, gate: Gate) -> None:
    write_rounds(out, 1, 2)
    for uid in ("first-uid", "second-uid"):
        logbook(out, gate, uid).advance(is_over=False, now=0)
    first, second = (logged(out, gate, uid) for uid in ("first-uid", "second-uid"))
    first.check(rounds=2)
    second.check(rounds=2)
    assert first.run.info.experiment_id == second.run.info.experiment_id


def test_a_server_that_goes_away_in_the_middle_of_a_round_misses_and_doubles_nothing(out: Path, gate: Gate) -> None:
    book = logbook(out, gate)
    write_rounds(out, 1, 1)
    book.advance(is_over=False, now=0)
    write_rounds(out, 2, 4)
    # The server does as it is asked, and the answer is lost: nobody here knows which it was.
    gate.after = lambda request: request != LOG
    for _ in range(2):
        with pytest.raises(TrackingError, match="cannot be reached"):
            book.advance(is_over=False, now=0)
    gate.shut()
    with pytest.raises(TrackingError, match="cannot be reached"):
        book.advance(is_over=False, now=0)
    gate.after = lambda request: True
    gate.open()
    book.advance(is_over=False, now=0)
    logged(out, gate).check(rounds=4)


def test_a_run_that_was_deleted_on_the_server_is_logged_from_the_first_round_again(out: Path, gate: Gate) -> None:
    book = logbook(out, gate)
    write_rounds(out, 1, 2)
    book.advance(is_over=False, now=0)
    MlflowClient(gate.server).delete_run(logged(out, gate).run.info.run_id)
    write_rounds(out, 3, 3)
    with pytest.raises(TrackingError, match="does not take it"):
        book.advance(is_over=False, now=0)
    book.advance(is_over=False, now=0)
    logged(out, gate).check(rounds=3)


def test_wrong_credentials_are_said_for_what_they_are_and_right_ones_are_taken(
    out: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate.password = "me:secret"
    write_rounds(out, 1, 1)
    lines: list[str] = []
    now = [0.0]
    world = World(lambda: False, lambda: now[0], lambda s: now.__setitem__(0, now[0] + s), lambda: 0.5, lines.append)
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wrong")
    assert not follow(logbook(out, gate), "MLflow", world)
    assert lines == [line for line in lines if "refuses the credentials" in line and "secret" not in line]
    assert len(lines) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    assert follow(logbook(out, gate), "MLflow", world)
    logged(out, gate).check(rounds=1)


def test_a_process_killed_while_it_logs_leaves_nothing_lost_or_doubled(out: Path, gate: Gate) -> None:
    write_rounds(out, 1, 5, evaluated=True)
    end(out)
    (out / "run" / "tracking.json").write_text(f'{{"mlflow": {{"uri": "{gate.address}"}}}}')
    command = [sys.executable, "-m", "fedward_cli.tracking", str(out)]
    stopped, seen = threading.Event(), [0]

    def kill_at_the_fourth(request: str) -> bool:
        seen[0] += request == LOG
        if seen[0] == 4 and not stopped.is_set():
            stopped.set()
            process.kill()
            return False
        return True

    gate.after = kill_at_the_fourth
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.wait(60) == -signal.SIGKILL
    again = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=60)
    assert (again.returncode, "logged to" in again.stdout) == (0, True), again.stdout
    found = Logged(gate, "research/toy", f"uid-of-{out.parent.name}")
    found.check(rounds=5)
    assert found.files() == {"plan.json", "model.safetensors", "report.html"}
    assert found.run.data.params["rounds.count"] == "3"


def test_programs_read_where_a_run_is_logged_and_people_the_rest(out: Path, gate: Gate) -> None:
    write_rounds(out, 1, 2)
    end(out)
    command = [sys.executable, "-m", "fedward_cli.main", "track", str(out), "--uri", gate.address, "-o", "json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    said = json.loads(done.stdout)
    assert (done.returncode, said["folder"], said["rounds"], said["complete"]) == (0, str(out), 2, True), done.stderr
    assert f"logged to {said['address']}" in done.stderr


def test_time_that_is_up_ends_even_a_request_that_hangs_and_says_what_is_missing(out: Path, gate: Gate) -> None:
    write_rounds(out, 1, 2)
    end(out, "Failed")
    (out / "run" / "tracking.json").write_text(f'{{"mlflow": {{"uri": "{gate.address}"}}}}')
    reached, released = threading.Event(), threading.Event()

    def hang(request: str) -> None:
        if request == LOG:
            reached.set()
            released.wait()

    gate.before = hang
    environment = os.environ | {"MLFLOW_HTTP_REQUEST_TIMEOUT": "300"}
    command = [sys.executable, "-m", "fedward_cli.tracking", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert reached.wait(60)
    process.terminate()
    said, _ = process.communicate(timeout=30)
    released.set()
    assert process.returncode == 1
    assert f"MLflow at {gate.address} has everything up to round 0 and lacks the rest" in said


class Watched(Lines):
    """The lines of a run; does something when the job has completed."""

    def __init__(self, completed: Any) -> None:
        self.lines: list[str] = []
        self._completed = completed
        super().__init__(self._take)

    def _take(self, line: str) -> None:
        self.lines.append(line)
        if "job completed" in line:
            self._completed()

    def position(self, text: str) -> int:
        return next(index for index, line in enumerate(self.lines) if text in line)


def test_a_federation_trains_while_the_server_is_there(tmp_path: Path, gate: Gate) -> None:
    view = Watched(lambda: None)
    settings = (f"tracking.mlflow.uri={gate.address}", f"tracking.mlflow.experiment={tmp_path.name}")
    result = federate(tmp_path, view, settings)
    assert (result.state, "logged to" in view.lines[-1]) == ("Completed", True)
    client = MlflowClient(gate.address)
    (found,) = client.search_runs([client.get_experiment_by_name(tmp_path.name).experiment_id])
    assert found.info.status == "FINISHED"
    assert found.data.metrics["dice"] == pytest.approx(result.metrics["dice"])
    assert found.data.metrics[MARKER] == 3


@pytest.mark.parametrize("how", ["away", "silent"])
def test_a_federation_trains_to_its_end_before_the_server_has_answered_anything(
    tmp_path: Path, gate: Gate, how: str
) -> None:
    is_back = threading.Event()
    answered_before: list[str] = []

    def come_back() -> None:
        answered_before.extend(gate.answered)
        is_back.set()
        if how == "away":
            gate.open()

    if how == "away":
        gate.shut()
    else:
        gate.before = lambda request: is_back.wait() and None
    view = Watched(come_back)
    settings = (f"tracking.mlflow.uri={gate.address}", f"tracking.mlflow.experiment={tmp_path.name}")
    result = federate(tmp_path, view, settings)
    assert (result.state, result.rounds_done, answered_before) == ("Completed", 3, [])
    assert view.position("job completed") < view.position("logged to")
    client = MlflowClient(gate.address)
    (found,) = client.search_runs([client.get_experiment_by_name(tmp_path.name).experiment_id])
    assert (found.info.status, found.data.metrics[MARKER]) == ("FINISHED", 3)


def test_a_tracker_that_dies_is_started_again_while_the_federation_trains(tmp_path: Path, gate: Gate) -> None:
    killed: list[int] = []

    def kill_the_first(request: str) -> None:
        if request == LOG and not killed:
            killed.append(tracker_of(tmp_path / "out"))
            os.kill(killed[0], signal.SIGKILL)

    gate.before = kill_the_first
    view = Watched(lambda: None)
    settings = (f"tracking.mlflow.uri={gate.address}", f"tracking.mlflow.experiment={tmp_path.name}", "rounds.count=30")
    result = federate(tmp_path, view, settings)
    assert (result.state, len(killed)) == ("Completed", 1)
    client = MlflowClient(gate.address)
    (found,) = client.search_runs([client.get_experiment_by_name(tmp_path.name).experiment_id])
    assert (found.info.status, found.data.metrics[MARKER]) == ("FINISHED", 30)


def tracker_of(out: Path) -> int:
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"fedward_cli.tracking" in words and str(out).encode() in words:
                return int(entry.name)
    raise AssertionError(f"nothing tracks {out}")
