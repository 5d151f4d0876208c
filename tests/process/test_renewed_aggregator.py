"""An aggregator's process takes up a renewed certificate, as Kubernetes puts it into its folder, without a restart."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import pytest
from cryptography import x509
from tests.kube.waiting import wait_until

from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority
from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds
from fedward_protocol.tensors.file import write_tensors

pytestmark = pytest.mark.process

FEDERATION = "north.example"
NAME = aggregator_name("job", "research", FEDERATION)
PLAN = Plan(
    federation=FEDERATION,
    job=JobIdentity(name="job", namespace="research", uid="0123456789"),
    sites=("mercy",),
    model=Model(network=Network()),
    data=Data(dataset="brats"),
    rounds=Rounds(count=1, quorum=1, deadline_s=60, grace_s=0),
)


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


@pytest.fixture
def authority():
    return Authority.create(FEDERATION, datetime.now(UTC))


@pytest.fixture
def certify(tmp_path, authority):
    """Put a certificate into the aggregator's folder, and return its serial number."""

    def certify(lifetime=timedelta(days=1)):
        identity = Identity(FEDERATION, "job", PLAN.job.uid)
        issued = authority.issue(identity, [NAME], datetime.now(UTC), lifetime)
        issued.write(tmp_path / "tls")
        return x509.load_pem_x509_certificate(issued.cert_pem).serial_number

    return certify


@pytest.fixture
def aggregator(tmp_path, certify):
    """Start the process; return the ports of its service and its probes."""
    certify()
    (tmp_path / "plan.json").write_bytes(PLAN.canonical())
    (tmp_path / "state").mkdir()
    write_tensors(tmp_path / "state" / "initial.safetensors", {"w": np.zeros(8, "f4")})
    ports = free_port(), free_port()
    command = [sys.executable, "-m", "fedward_server", "--plan", tmp_path / "plan.json", "--attempt", "1"]
    command += ["--state", tmp_path / "state", "--tls", tmp_path / "tls"]
    command += ["--listen", f"127.0.0.1:{ports[0]}", "--metrics", f"127.0.0.1:{ports[1]}"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stderr=log) as process:
        yield ports
        process.terminate()


def shown(port, authority):
    """Connect as a gateway does, and return the serial number of the certificate that is shown."""
    context = ssl.create_default_context(cadata=authority.ca_pem.decode())
    context.set_alpn_protocols(["h2"])
    with (
        socket.create_connection(("127.0.0.1", port)) as plain,
        context.wrap_socket(plain, server_hostname=NAME) as end,
    ):
        return x509.load_der_x509_certificate(end.getpeercert(binary_form=True)).serial_number


def ready(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz").read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()
    except urllib.error.URLError as error:
        return str(error)


def test_a_renewed_certificate_is_shown_without_a_restart_and_an_expired_one_is_an_obstacle(
    aggregator, certify, authority, tmp_path
):
    port, probes = aggregator
    wait_until("the aggregator is ready", partial(ready, probes), is_it=lambda text: text == "ready\n")
    renewed = certify()
    assert shown(port, authority) == renewed
    certify(timedelta(minutes=-1))
    assert "the certificate expired at" in ready(probes)
    renewed = certify()
    assert ready(probes) == "ready\n"
    assert shown(port, authority) == renewed
    assert (tmp_path / "log").read_text().count("the certificate was renewed") == 3
