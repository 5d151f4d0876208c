"""The program that hands out what a job has left: what it says where there is nothing, and how its waiting ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path

from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds
from fedward_server.export import main

COMMAND = (sys.executable, "-m", "fedward_server.export")
PLAN = Plan(
    federation="fed.example.org",
    job=JobIdentity(name="brain", namespace="research", uid="0c1d0c1d"),
    sites=("north",),
    model=Model(network=Network(name="UNet")),
    data=Data(dataset="brats"),
    rounds=Rounds(count=3, quorum=1, deadline_s=60, grace_s=0),
)


def test_a_volume_without_a_journal_is_said_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_bytes(PLAN.canonical())

    done = subprocess.run([*COMMAND, "--state", tmp_path, "--plan", tmp_path / "plan.json"], capture_output=True)

    assert (done.returncode, done.stdout) == (1, b"")
    assert b"the job's volume cannot be read" in done.stderr
    assert b"journal.db" in done.stderr
    assert b"Traceback" not in done.stderr
    assert [each.name for each in tmp_path.iterdir()] == ["plan.json"]


def test_a_pod_that_is_held_open_ends_when_it_is_asked_to() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        assert signal.sigpending() == {signal.SIGTERM}
        assert main(["--hold"]) == 0
        assert signal.sigpending() == set()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
