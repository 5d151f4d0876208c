"""An aggregator that cannot start says why in a line, and may be started again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from toy_federation import documents

from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority

pytestmark = pytest.mark.process

Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start an aggregator with this address for metrics, and give its last log line once it has ended with 1."""
    plan = documents(tmp_path).plan("0123456789")
    (tmp_path / "plan.json").write_bytes(plan.canonical())
    now, job = datetime.now(UTC), plan.job
    name = aggregator_name(job.name, job.namespace, plan.federation)
    authority = Authority.create(plan.federation, now)
    authority.issue(Identity(plan.federation, "job", job.uid), [name], now, timedelta(days=1)).write(tmp_path / "tls")

    def until_it_ends(metrics: str, *more: str) -> str:
        command = [sys.executable, "-m", "fedward_server", "--plan", tmp_path / "plan.json", "--attempt", "1"]
        command += ["--state", tmp_path / "state", "--tls", tmp_path / "tls", "--listen", "127.0.0.1:0"]
        ended = subprocess.run([*command, "--metrics", metrics, *more], stderr=subprocess.PIPE, text=True, timeout=60)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        return json.dumps(json.loads(ended.stderr.splitlines()[-1]))

    return until_it_ends


def test_a_taken_port_is_named_and_another_start_may_help(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        assert f"cannot listen on {address}: Address already in use" in start(address)


def test_a_damaged_journal_is_named_with_what_to_do(start: Start, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "journal.db").write_bytes(b"\xff" * 8192)

    said = start("127.0.0.1:0")

    assert f"{tmp_path}/state/journal.db is damaged (file is not a database)" in said
    assert "restore it, or start the job anew" in said


def test_certificates_for_its_metrics_that_are_not_there_are_named(start: Start, tmp_path: Path) -> None:
    said = start("127.0.0.1:0", "--secure-metrics", "127.0.0.1:0", "--secure-metrics-tls", str(tmp_path / "none"))

    assert f"{tmp_path}/none: tls.crt, tls.key or ca.crt cannot be used" in said
