"""A gateway that cannot show its metrics says why in a line, and may be started again."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

pytestmark = pytest.mark.process

Start = Callable[..., str]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a gateway with these arguments for metrics, and give its last message once it has ended with 1."""
    now, federation = datetime.now(UTC), "toy.example"
    site = Identity(federation, "site", "north")
    Authority.create(federation, now).issue(site, ["localhost"], now, timedelta(days=1)).write(tmp_path / "tls")
    key = Ed25519PrivateKey.generate().public_key()
    (tmp_path / "operator.pem").write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def until_it_ends(*metrics: str) -> str:
        command = [sys.executable, "-m", "fedward_node.gateway", "--state", tmp_path / "state"]
        command += ["--audit", tmp_path / "audit", "--tls", tmp_path / "tls", "--listen", "127.0.0.1:0"]
        command += ["--operator-key", tmp_path / "operator.pem", *metrics]
        ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)
        assert ended.returncode == 1
        assert "Traceback" not in ended.stderr
        return str(json.loads(ended.stderr.splitlines()[-1])["message"])

    return until_it_ends


def test_a_taken_port_is_named_with_what_to_do(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        said = start("--metrics", address)

    assert said == f"cannot listen on {address}: Address already in use; free the port, or name another with --metrics"


def test_certificates_for_its_metrics_that_are_not_there_are_named(start: Start, tmp_path: Path) -> None:
    secured = "--secure-metrics", "127.0.0.1:0", "--secure-metrics-tls", str(tmp_path / "none")

    said = start("--metrics", "127.0.0.1:0", *secured)

    assert f"{tmp_path}/none: tls.crt, tls.key or ca.crt cannot be used" in said


def test_half_of_what_secures_its_metrics_is_refused(start: Start) -> None:
    said = start("--metrics", "127.0.0.1:0", "--secure-metrics", "127.0.0.1:0")

    assert said == "--secure-metrics and --secure-metrics-tls go together; give both or neither"
