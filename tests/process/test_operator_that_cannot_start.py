"""An operator whose metrics have no port says so in a line, before it asks anything of a cluster."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fedward_operator.main import UNUSABLE
from fedward_protocol.pki import Authority

pytestmark = pytest.mark.process

FEDERATION = "toy.example"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of what either role starts with; nobody listens where its kubeconfig leads."""
    now = datetime.now(UTC)
    authority = Authority.create(FEDERATION, now)
    (tmp_path / "tls.crt").write_bytes(authority.ca_pem)
    (tmp_path / "tls.key").write_bytes(authority.key_pem)
    (tmp_path / "ca.crt").write_bytes(authority.ca_pem)
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "signing.pem").write_bytes(pem)
    kubeconfig = {
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [{"name": "here", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority": "ca.crt"}}],
        "users": [{"name": "me", "user": {"token": "secret"}}],
    }
    (tmp_path / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
    return tmp_path


@pytest.mark.parametrize("role", ["hub", "site"])
def test_a_taken_port_is_named(role: str, folder: Path) -> None:
    key = f"--signing-key={folder}/signing.pem"
    mine = {
        "hub": ["--door=door.example:443", f"--authority={folder}", "--aggregator-image=aggregator"],
        "site": ["--site=north", f"--hub-kubeconfig={folder}/kubeconfig", "--gateway=gateway.example:443", key],
    }
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, "-m", "fedward_operator", role, *mine[role], "--metrics", address]
        command += ["--federation", FEDERATION, "--namespace", "fedward", "--trainer-image", "trainer"]
        command += ["--kubeconfig", folder / "kubeconfig"]
        ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=60)

    assert "Traceback" not in ended.stderr
    assert ended.returncode == UNUSABLE
    assert json.loads(ended.stderr.splitlines()[-1])["message"].startswith(f"cannot listen on {address}: Address")
