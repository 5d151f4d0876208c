"""An aggregator whose port for metrics is taken says so in a line, and may be started again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from toy_federation import documents

from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority

pytestmark = pytest.mark.process


def test_a_taken_port_is_named_and_another_start_may_help(tmp_path):
    plan = documents(tmp_path).plan("0123456789")
    (tmp_path / "plan.json").write_bytes(plan.canonical())
    now, job = datetime.now(UTC), plan.job
    name = aggregator_name(job.name, job.namespace, plan.federation)
    authority = Authority.create(plan.federation, now)
    authority.issue(Identity(plan.federation, "job", job.uid), [name], now, timedelta(days=1)).write(tmp_path / "tls")
    command = [sys.executable, "-m", "fedward_server", "--plan", tmp_path / "plan.json", "--attempt", "1"]
    command += ["--state", tmp_path / "state", "--tls", tmp_path / "tls", "--listen", "127.0.0.1:0"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = subprocess.run([*command, "--metrics", address], stderr=subprocess.PIPE, text=True, timeout=60)

    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    said = json.loads(ended.stderr.splitlines()[-1])
    assert f"cannot listen on {address}: Address already in use" in json.dumps(said)
