"""What `fedward report` makes of the volume of a job is what a local run of it leaves: model, figures, report."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.process.toy_federation import federate

from fedward_cli.cluster.fetch import fetch
from fedward_cli.cluster.kubectl import ClusterError
from fedward_cli.problems import InputError
from fedward_cli.results import METRICS, Result, read_result, read_rounds

pytestmark = [pytest.mark.process, pytest.mark.timeout(180)]

ENDED = "2026-03-01T13:00:00Z"


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A local run; its aggregator's folder is what lies on the volume of a job in a cluster."""
    folder = tmp_path_factory.mktemp("ran")
    return folder / "out", federate(folder)


class Cluster:
    """A kubectl for one job that has ended; an exec into the reader runs the program on a copy of the volume."""

    def __init__(self, out: Path, volume: Path, state: str = "Completed") -> None:
        self.volume, self.asked, self.cuts = volume, [], []
        shutil.copytree(out / "run" / "aggregator", volume)
        (volume / "spool").mkdir(exist_ok=True)
        plan = json.loads((out / "run" / "plan.json").read_bytes())
        shutil.copyfile(out / "run" / "plan.json", volume / "plan.json")
        said = {"type": state, "status": "True", "reason": state, "lastTransitionTime": ENDED}
        self.job = {
            "apiVersion": "fedward.io/v1alpha1",
            "kind": "FederatedJob",
            "metadata": {
                "name": "toy",
                "namespace": "research",
                "uid": plan["job"]["uid"],
                "creationTimestamp": "2026-03-01T12:00:00Z",
            },
            "spec": {"rounds": {"count": 3}, "tracking": {"mlflow": {"uri": "https://mlflow.example.org"}}},
            "status": {"attempt": 1, "round": 3, "rounds": 3, "state": state, "conditions": [said]},
        }
        if state in ("Completed", "Failed"):
            self.job["status"]["completionTime"] = ENDED

    def __call__(self, arguments: list[str], given: str | None = None) -> str:
        self.asked.append(arguments[0])
        match arguments[:2]:
            case ["get", "federatedjobs.fedward.io"]:
                return json.dumps(self.job)
            case ["get", "pods"]:
                spec = {"containers": [{"name": "aggregator", "image": "aggregator:1"}]}
                return json.dumps({"items": [{"spec": spec}]})
            case ["create", _]:
                return json.dumps({"metadata": {"name": "toy-report-abcde"}} | {"given": json.loads(given)})
            case _:
                return ""

    @contextlib.contextmanager
    def pipe(self, arguments: list[str]):
        self.asked.append("exec")
        module = arguments[arguments.index("-m") + 1 :]
        command = [sys.executable, "-m", *module, "--state", str(self.volume), "--plan", str(self.volume / "plan.json")]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            if self.cuts:
                yield io.BytesIO(cut_after(process.stdout.read(), self.cuts.pop(0)))
            else:
                yield process.stdout


def cut_after(content: bytes, member: str) -> bytes:
    """What has come of a stream that broke off behind a file of it, or at once."""
    if member == "nothing":
        return b""
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        found = tar.getmember(member)
        return content[: found.offset_data + -(-found.size // 512) * 512]


def fetched(cluster: Cluster, out: Path) -> Path:
    return fetch("toy", "research", out, lambda: datetime.now(UTC), cluster, cluster.pipe)


def test_a_fetched_job_is_as_a_local_run_of_it(ran: tuple[Path, Result], tmp_path: Path) -> None:
    out, result = ran
    cluster = Cluster(out, tmp_path / "volume")
    before = sorted(each.name for each in cluster.volume.iterdir())

    written = fetched(cluster, tmp_path / "fetched")

    assert written.read_text().lstrip().startswith("<!doctype html>")
    there = read_result(tmp_path / "fetched")
    assert there.model == result.model
    assert there.metrics == result.metrics
    assert (there.state, there.rounds_done, there.nbytes_up) == ("Completed", 3, result.nbytes_up)
    assert (there.fetched, result.fetched) == (True, False)
    assert there.finished_at == datetime(2026, 3, 1, 13, tzinfo=UTC)
    assert (tmp_path / "fetched" / METRICS).read_text() == (out / METRICS).read_text()
    assert (tmp_path / "fetched/model.safetensors").read_bytes() == (out / "model.safetensors").read_bytes()
    assert (tmp_path / "fetched/bundle/models/model.safetensors").exists()
    for charts in ("tensorboard", "tensorboard/north"):
        name = f"{charts}/events.out.tfevents.fedward"
        assert (tmp_path / "fetched" / name).read_bytes() == (out / name).read_bytes()
    assert "mlflow.example.org" in (tmp_path / "fetched/run/tracking.json").read_text(), "for `fedward track`"
    assert sorted(each.name for each in cluster.volume.iterdir()) == before, "nothing is written on the volume"
    assert cluster.asked[-3:] == ["wait", "exec", "delete"]


def test_a_stream_that_breaks_off_is_asked_for_again(ran: tuple[Path, Result], tmp_path: Path) -> None:
    cluster = Cluster(ran[0], tmp_path / "volume")
    cluster.cuts = ["nothing", "history.bin"]
    fetched(cluster, tmp_path / "fetched")
    assert len(read_rounds(tmp_path / "fetched")) == len(read_rounds(ran[0]))

    cluster.cuts = ["history.bin", "model.safetensors", "nothing"]
    with pytest.raises(ClusterError, match="broke off 3 times"):
        fetched(cluster, tmp_path / "again")
    assert cluster.asked[-1] == "delete"


def test_a_journal_of_which_the_last_events_are_in_its_log_alone_is_read(
    ran: tuple[Path, Result], tmp_path: Path
) -> None:
    import sqlite3

    cluster = Cluster(ran[0], tmp_path / "volume")
    before = sqlite3.connect(cluster.volume / "journal.db", isolation_level=None)
    before.execute("PRAGMA journal_mode=WAL")
    before.execute("BEGIN")
    (last,) = before.execute("SELECT event FROM events ORDER BY number DESC LIMIT 1").fetchone()
    before.execute("DELETE FROM events WHERE number = (SELECT max(number) FROM events)")
    before.execute("COMMIT")
    before.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before.execute("INSERT INTO events (event) VALUES (?)", (last,))
    assert (cluster.volume / "journal.db-wal").stat().st_size > 0

    fetched(cluster, tmp_path / "fetched")
    before.close()
    assert read_result(tmp_path / "fetched").model == ran[1].model


def test_a_job_that_goes_on_is_refused_and_another_jobs_folder_is_not_written_over(
    ran: tuple[Path, Result], tmp_path: Path
) -> None:
    running = Cluster(ran[0], tmp_path / "running", "Running")
    with pytest.raises(ClusterError, match="toy goes on"):
        fetched(running, tmp_path / "fetched")
    assert "create" not in running.asked

    cluster = Cluster(ran[0], tmp_path / "volume")
    fetched(cluster, tmp_path / "fetched")
    cluster.job["metadata"]["uid"] = "another"
    with pytest.raises(InputError, match="the run of another job"):
        fetched(cluster, tmp_path / "fetched")
