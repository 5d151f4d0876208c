"""The tracker of a hub's cluster as its pods run it: beside a real aggregator, before a real MLflow server."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from tests.kube.waiting import wait_until
from tests.process.mlflow_gate import Gate
from toy_federation import documents, federate

from fedward_cli.local import credentials, orders
from fedward_cli.local.folder import Folder
from fedward_cli.results import Result
from fedward_cli.tracking.mlflow_run import JOB_TAG, MARKER
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority
from fedward_protocol.plan import Plan

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

PROGRAM = (sys.executable, "-m", "fedward_cli.tracking.at_hub")
TRAINER = (sys.executable, str(Path(__file__).parent / "held_trainer.py"))
ROUNDS = 4
COMPLETED = {
    "state": "Completed",
    "attempt": 1,
    "startTime": "2026-03-01T12:00:00Z",
    "completionTime": "2026-03-01T13:00:00Z",
    "failure": None,
}
SITES_NOT_READY = {
    "state": "Failed",
    "attempt": 0,
    "startTime": None,
    "completionTime": None,
    "failure": {"reason": "SitesNotReady", "message": "too few hospitals came"},
}


class Job:
    """A federation that trains here, round by round as the test lets it, with what a hub's operator knows of it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.tls, self.aggregator = folder, folder / "tls", ""
        self.plan_file = folder / "out" / "run" / "plan.json"
        self.state = folder / "out" / "run" / "aggregator"
        self.result: Result | None = None
        self._locks: dict[int, int] = {}
        self._served = threading.Event()
        held = folder / "held"
        held.mkdir(parents=True)
        monkeypatch.setenv("HELD_ROUNDS", str(held))
        for number in range(1, ROUNDS + 1):
            self._locks[number] = os.open(held / str(number), os.O_CREAT | os.O_RDWR)
            fcntl.flock(self._locks[number], fcntl.LOCK_EX)
        self._listen_in(monkeypatch)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._served.wait(60)

    def allow(self, *rounds: int) -> None:
        for number in rounds:
            os.close(self._locks.pop(number))

    def end(self) -> Result:
        self.allow(*self._locks)
        self._thread.join(120)
        assert self.result is not None
        return self.result

    @property
    def plan(self) -> Plan:
        return Plan.parse(self.plan_file.read_bytes())

    def _run(self) -> None:
        self.result = federate(self.folder, overrides=(f"rounds.count={ROUNDS}",), trainer=TRAINER)

    def _listen_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the run's authority, which is in memory alone, certify the job's observer too."""
        issue, write_orders = credentials.issue, orders.write_orders
        made: list[Authority] = []

        class Kept:
            @staticmethod
            def create(federation: str, now: datetime) -> Authority:
                made.append(Authority.create(federation, now))
                return made[-1]

        def issue_one_more(folder: Folder, plan: Plan, now: datetime) -> Any:
            hub = issue(folder, plan, now)
            observer = Identity(plan.federation, "observer", plan.job.uid)
            made[-1].issue(observer, [], now, credentials.LIFETIME).write(self.tls)
            return hub

        def note_the_address(folder: Folder, documents: Any, attempt: Any, aggregator: str, now: datetime) -> None:
            write_orders(folder, documents, attempt, aggregator, now)
            self.aggregator = aggregator
            self._served.set()

        monkeypatch.setattr(credentials, "Authority", Kept)
        monkeypatch.setattr(credentials, "issue", issue_one_more)
        monkeypatch.setattr(orders, "write_orders", note_the_address)


class Tracker:
    """The process, as a pod runs it."""

    def __init__(
        self, folder: Path, plan: Path, gate: Gate, command: str, *arguments: str, experiment: str | None = None
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as found:
            self._port = found.getsockname()[1]
        tracking = json.dumps({"mlflow": {"uri": gate.address, "experiment": experiment}})
        self.credentials = folder / "secret"
        shared = ["--plan", str(plan), "--tracking", tracking, "--metrics", f"127.0.0.1:{self._port}"]
        shared += ["--credentials", str(self.credentials)]
        self._log = folder / "tracker.log"
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*PROGRAM, command, *shared, *arguments],
                stdout=log,
                stderr=log,
                env={**os.environ, "TMPDIR": str(folder), "FEDWARD_LOG_FORMAT": "json"},
            )

    def ask(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            assert self.process.poll() is None, self._log.read_text()
            return 0, str(error)

    def wait(self) -> int:
        return self.process.wait(90)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._log.read_text().splitlines()]


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Job]:
    job = Job(tmp_path / "job", monkeypatch)
    job.start()
    yield job
    job.end()


@contextmanager
def following(job: Job, gate: Gate, folder: Path) -> Iterator[Tracker]:
    to = ("--attempt", "1", "--aggregator", job.aggregator, "--tls", str(job.tls))
    tracker = Tracker(folder, job.plan_file, gate, "follow", *to)
    try:
        yield tracker
    finally:
        if tracker.process.poll() is None:
            tracker.process.kill()
            tracker.process.wait()


def finish(
    plan: Path,
    state: Path,
    gate: Gate,
    folder: Path,
    ended: dict[str, Any] = COMPLETED,
    experiment: str | None = None,
) -> Tracker:
    """Collect what the job left, as the pod's first container does, and log that."""
    left = folder / "left"
    left.mkdir(parents=True, exist_ok=True)
    subprocess.run([*PROGRAM, "collect", "--plan", plan, "--state", state, "--out", left], check=True)
    told = ("--state", str(left), "--ended", json.dumps(ended))
    return Tracker(folder, plan, gate, "finish", *told, experiment=experiment)


def unborn(folder: Path, uid: str) -> tuple[Path, Path]:
    """Give a job's plan, and its volume, on which nothing was ever written."""
    plan, state = folder / "plan.json", folder / "state"
    plan.write_bytes(documents(folder).plan(uid).canonical())
    state.mkdir()
    return plan, state


def logged(gate: Gate, uid: str) -> Any:
    """Give the one run of a job, past the gate; None where there is none."""
    client = MlflowClient(gate.server)
    found = client.get_experiment_by_name("research/toy")
    runs = client.search_runs([found.experiment_id], f"tags.`{JOB_TAG}` = '{uid}'") if found else []
    assert len(runs) <= 1
    return runs[0] if runs else None


def rounds(gate: Gate, uid: str) -> int:
    run = logged(gate, uid)
    return int(run.data.metrics.get(MARKER, 0)) if run else 0


def artifacts(gate: Gate, uid: str) -> set[str]:
    return {file.path for file in MlflowClient(gate.server).list_artifacts(logged(gate, uid).info.run_id)}


def doubled(gate: Gate) -> list[tuple[str, str, int]]:
    return [point for point, count in Counter(gate.points).items() if count > 1]


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_rounds_appear_while_they_close_through_an_absence_of_mlflow_and_the_end_is_told_once(
    job: Job, gate: Gate, tmp_path: Path
) -> None:
    uid = job.plan.job.uid
    with following(job, gate, tmp_path / "follow") as tracker:
        job.allow(1)
        wait_until("round 1 is logged", lambda: rounds(gate, uid), 60, is_it=lambda number: number == 1)
        wait_until("it is ready", lambda: tracker.ask("/readyz"), 20, is_it=lambda said: said == (200, "ready\n"))
        assert logged(gate, uid).info.status == "RUNNING"

        gate.shut()
        job.allow(2)
        absent = (503, f"MLflow at {gate.address} cannot be reached\n")
        wait_until("it says what is the matter", lambda: tracker.ask("/readyz"), 60, is_it=lambda said: said == absent)
        assert "fedward_tracker_server_up{" in tracker.ask("/metrics")[1]
        gate.open()
        wait_until("round 2 is logged", lambda: rounds(gate, uid), 60, is_it=lambda number: number == 2)
        shown = tracker.ask("/metrics")[1].splitlines()
        about = '{job_name="toy",job_namespace="research"}'
        assert f"fedward_tracker_logged_round{about} 2.0" in shown
        assert f"fedward_tracker_server_up{about} 1.0" in shown

        result = job.end()
        assert tracker.wait() == 0
    assert (rounds(gate, uid), logged(gate, uid).info.status, artifacts(gate, uid)) == (ROUNDS, "RUNNING", set())
    said = [line["message"] for line in tracker.lines() if line["level"] == "WARNING"]
    assert said == [
        f"MLflow at {gate.address} cannot be reached; training goes on, and what is missing is logged once it is back"
    ]
    assert {line["process"] for line in tracker.lines()} == {"tracker"}

    before = content(job.state)
    for _ in range(2):
        assert finish(job.plan_file, job.state, gate, tmp_path / "finish").wait() == 0
    assert content(job.state) == before, "nothing is written on the volume"
    run = logged(gate, uid)
    assert run.info.status == "FINISHED"
    assert run.info.end_time == 1000 * datetime.fromisoformat(COMPLETED["completionTime"]).timestamp()
    assert artifacts(gate, uid) == {"model.safetensors", "report.html", "plan.json"}
    assert run.data.tags["fedward.model_sha256"] == result.model.digest
    assert run.data.metrics["dice"] == pytest.approx(result.metrics["dice"])
    assert run.data.params["rounds.count"] == str(ROUNDS)
    assert doubled(gate) == []
    uploads = [each for each in gate.answered if each.startswith("PUT") and "model.safetensors" in each]
    assert len(uploads) == 1


def test_a_pod_that_is_ended_says_so_of_its_run_and_the_next_one_goes_on_in_it(
    job: Job, gate: Gate, tmp_path: Path
) -> None:
    uid = job.plan.job.uid
    job.allow(1)
    with following(job, gate, tmp_path / "first") as tracker:
        wait_until("round 1 is logged", lambda: rounds(gate, uid), 60, is_it=lambda number: number == 1)
        tracker.process.send_signal(signal.SIGTERM)
        assert tracker.wait() == 143
    assert logged(gate, uid).info.status == "KILLED"

    with following(job, gate, tmp_path / "second") as tracker:
        job.allow(2)
        wait_until("round 2 is logged", lambda: rounds(gate, uid), 60, is_it=lambda number: number == 2)
        assert logged(gate, uid).info.status == "RUNNING"
        gate.before = lambda request: threading.Event().wait(60) and None
        tracker.process.send_signal(signal.SIGTERM)
        assert tracker.process.wait(10) == 143, "a server that does not answer holds nobody up"
    gate.before = lambda request: None
    assert doubled(gate) == []


def test_the_end_of_a_job_waits_for_a_server_that_is_away(job: Job, gate: Gate, tmp_path: Path) -> None:
    uid, result = job.plan.job.uid, job.end()
    assert result.state == "Completed"
    state = tmp_path / "state"
    shutil.copytree(job.state, state)
    gate.shut()
    tracker = finish(job.plan_file, state, gate, tmp_path / "finish")
    absent = (503, f"MLflow at {gate.address} cannot be reached\n")
    wait_until("it says what is the matter", lambda: tracker.ask("/readyz"), 60, is_it=lambda said: said == absent)
    gate.open()
    assert tracker.wait() == 0
    assert (rounds(gate, uid), logged(gate, uid).info.status) == (ROUNDS, "FINISHED")
    assert [line["message"] for line in tracker.lines() if line["level"] == "WARNING"] == [
        f"MLflow at {gate.address} cannot be reached; it is tried for 24 h"
    ]


def test_a_secret_that_is_corrected_is_taken_without_a_restart(gate: Gate, tmp_path: Path) -> None:
    uid, gate.password = f"uid-of-{tmp_path.name}", "ada:opensesame"
    tracker = finish(*unborn(tmp_path, uid), gate, tmp_path / "finish", SITES_NOT_READY)

    def said() -> str:
        return tracker.ask("/readyz")[1]

    wait_until("it has no credentials", said, 60, is_it=lambda text: "refuses the credentials" in text)
    tracker.credentials.mkdir()
    (tracker.credentials / "MLFLOW_TRACKING_USERNAME").write_text("ada\n")
    (tracker.credentials / "MLFLOW_TRACKING_PASSWORD").write_bytes(b"open\xff")
    wait_until("it is told of the Secret", said, 60, is_it=lambda text: "one line of text in UTF-8" in text)
    (tracker.credentials / "MLFLOW_TRACKING_PASSWORD").write_text("wrong\n")
    wait_until("they are refused", said, 60, is_it=lambda text: "refuses the credentials" in text)
    (tracker.credentials / "MLFLOW_TRACKING_PASSWORD").write_text("opensesame\n")
    assert tracker.wait() == 0
    assert artifacts(gate, uid) == {"report.html", "plan.json"}
    assert not any("opensesame" in str(line) for line in tracker.lines())


def test_a_server_that_keeps_artifacts_at_a_path_is_not_believed_to_have_them(gate: Gate, tmp_path: Path) -> None:
    uid, place = f"uid-of-{tmp_path.name}", tmp_path / "of-the-server"
    client = MlflowClient(gate.server)
    experiment = client.create_experiment(tmp_path.name, artifact_location=str(place))
    tracker = finish(*unborn(tmp_path, uid), gate, tmp_path / "finish", SITES_NOT_READY, tmp_path.name)
    wait_until(
        "it says what is the matter",
        lambda: tracker.ask("/readyz")[1],
        60,
        is_it=lambda text: "keeps artifacts at a path of its own machine" in text and "--serve-artifacts" in text,
    )
    tracker.process.send_signal(signal.SIGTERM)
    assert tracker.wait() == 143
    (run,) = client.search_runs([experiment])
    assert (run.info.status, run.data.tags["fedward.state"]) == ("FAILED", "Failed"), "what it can take it has"
    assert not place.exists()


def test_a_job_that_failed_before_it_began_is_a_failed_run_with_its_reason(gate: Gate, tmp_path: Path) -> None:
    uid = f"uid-of-{tmp_path.name}"
    assert finish(*unborn(tmp_path, uid), gate, tmp_path / "finish", SITES_NOT_READY).wait() == 0
    run = logged(gate, uid)
    assert (run.info.status, run.data.tags["fedward.failure"]) == ("FAILED", "SitesNotReady: too few hospitals came")
    assert artifacts(gate, uid) == {"report.html", "plan.json"}


def test_a_volume_that_lacks_what_completed_ends_it_for_good(gate: Gate, tmp_path: Path) -> None:
    uid = f"uid-of-{tmp_path.name}"
    tracker = finish(*unborn(tmp_path, uid), gate, tmp_path / "finish")
    assert tracker.wait() == 3
    assert "holds no journal of the job that completed" in tracker.lines()[-1]["message"]
    assert logged(gate, uid) is None
