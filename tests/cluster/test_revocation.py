"""A site is revoked at the hub while it takes part in a job: a real aggregator lets go of it within seconds."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import socketserver
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial

import grpc
import numpy as np
import pytest
from tests.cluster.invitations import connected
from tests.cluster.operators import FEDERATION, GROUP
from tests.kube.control_plane import free_ports
from tests.kube.waiting import wait_until

from fedward_protocol import refusals, tls
from fedward_protocol.identity import Identity, aggregator_name
from fedward_protocol.pki import Authority
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason
from fedward_protocol.tensors.file import write_tensors
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.wire.federation_pb2_grpc import FederationStub

pytestmark = pytest.mark.cluster

WITHIN_S = 5.0
"""From the patch of a FederatedSite to the end of its streams."""


class Relay(socketserver.BaseRequestHandler):
    """Stands for the cluster's network: whatever Service is asked for by CONNECT, the way leads to the aggregator."""

    def handle(self):
        asked = b""
        while not asked.endswith(b"\r\n\r\n"):
            asked += self.request.recv(1)
        with contextlib.suppress(OSError), socket.create_connection(self.server.target) as there:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self.pump, args=(there, self.request), daemon=True)
            back.start()
            self.pump(self.request, there)
            back.join()

    @staticmethod
    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Aggregator:
    """The real process, with what the operator has put into the cluster for it."""

    def __init__(self, federation, folder, port):
        self.federation, self.folder, self.port = federation, folder, port
        folder.mkdir()
        objects = f"/api/v1/namespaces/{federation.namespace}"
        plan = federation.hub.request("GET", f"{objects}/configmaps/brain-plan")["data"]["plan.json"]
        self.plan = Plan.parse(plan.encode())
        (folder / "plan.json").write_text(plan)
        (folder / "tls").mkdir()
        for name, content in federation.hub.request("GET", f"{objects}/secrets/brain-aggregator-tls")["data"].items():
            (folder / "tls" / name).write_bytes(base64.b64decode(content))
        (folder / "state").mkdir()
        write_tensors(folder / "state" / "initial.safetensors", {"w": np.zeros(8, "f4")})

    def start(self):
        with (self.folder / "log").open("ab") as log:
            arguments = ["--plan", self.folder / "plan.json", "--attempt", "1", "--state", self.folder / "state"]
            arguments += ["--tls", self.folder / "tls", "--listen", f"127.0.0.1:{self.port}", "--metrics"]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fedward_server", *arguments, f"127.0.0.1:{free_ports(1)[0]}"], stderr=log
            )

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stub(self, site):
        """Connect as a site's gateway, whose certificate stays good whatever the hub thinks of the site meanwhile."""
        folder = self.federation.folder / "authority"
        files = [(folder / name).read_bytes() for name in ("tls.crt", "tls.key")]
        issued = Authority.load(FEDERATION, *files).issue(
            Identity(FEDERATION, "site", site), [], datetime.now(UTC), timedelta(hours=1)
        )
        name = aggregator_name("brain", self.federation.namespace, FEDERATION)
        options = (*tls.CHANNEL_OPTIONS, ("grpc.ssl_target_name_override", name), ("grpc.enable_http_proxy", 0))
        channel = grpc.secure_channel(f"127.0.0.1:{self.port}", tls.channel_credentials(issued), options)
        return FederationStub(channel)

    def attend(self, site):
        """Attend, and return the stream; raises RpcError where it is refused."""
        silent = threading.Event()

        def words():
            job = pb.JobRef(uid=self.plan.job.uid, attempt=1)
            versions = pb.VersionRange(lowest=1, highest=1)
            yield pb.SiteMessage(hello=pb.Hello(job=job, site=site, versions=versions, training_cases=4))
            while not silent.wait(2.0):
                yield pb.SiteMessage(heartbeat=pb.Heartbeat())

        stream = self.stub(site).Attend(words(), wait_for_ready=True, timeout=60)
        stream.add_callback(silent.set)
        assert next(stream).WhichOneof("body") == "welcome"
        return stream

    def refuses(self, site):
        """Tell with which reason a site that attends anew is refused, if it is."""
        try:
            self.attend(site).cancel()
        except grpc.RpcError as error:
            return dict(error.trailing_metadata()).get(refusals.REASON_KEY)
        return None


@pytest.fixture
def aggregator(federation, tmp_path, monkeypatch):
    """A job "brain" of two sites whose aggregator runs, and the hub's operator is connected to it."""
    relay = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Relay)
    relay.daemon_threads, relay.target = True, ("127.0.0.1", free_ports(1)[0])
    threading.Thread(target=relay.serve_forever, daemon=True).start()
    for name in ("no_grpc_proxy", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setitem(os.environ, "grpc_proxy", f"http://127.0.0.1:{relay.server_address[1]}")
    federation.sites = [federation.invite(name) for name in ("north", "south")]
    federation.start_hub()
    for site in federation.sites:
        federation.heartbeat(site)
    federation.submit("brain", federation.sites, rounds={"count": 3, "quorum": 1})
    federation.wait_for("brain", "Running", "True")
    made = Aggregator(federation, tmp_path / "aggregator", relay.target[1])
    made.start()
    federation.wait_for("brain", "Running", "True", "WaitingForQuorum")
    yield made
    made.kill()
    relay.shutdown()
    relay.server_close()


def revoke(federation, site):
    path = f"{GROUP}/federatedsites/{site}"
    federation.hub.request("PATCH", path, {"spec": {"revoked": True}}, "application/merge-patch+json")


def reasons(federation):
    return {each["name"]: each.get("reason") for each in federation.found("brain")["status"]["sites"]}


def until_shown(federation, site):
    wait_until(
        "the job says so",
        partial(federation.found, "brain"),
        is_it=lambda job: (
            [(each["state"], each["message"]) for each in job["status"]["sites"] if each["name"] == site]
            == [("Failed", "the site belongs to the federation no more")]
        ),
    )


def test_the_stream_of_a_revoked_site_ends_within_seconds_and_the_job_goes_on_and_says_so(federation, aggregator):
    north, south = federation.sites
    streams = {site: aggregator.attend(site) for site in (north, south)}
    federation.wait_for("brain", "Running", "True", "Training")
    missed = [("False", "HeartbeatMissed")]
    wait_until("its operator is not heard", partial(connected, federation, north), is_it=missed.__eq__)
    began = time.monotonic()
    revoke(federation, north)
    aborted = next(message for message in streams[north] if message.WhichOneof("body") == "abort")
    took = time.monotonic() - began
    assert aborted.abort.reason == Reason.SITE_REVOKED
    assert took < WITHIN_S
    sys.stderr.write(f"revoked and out in {took:.2f} s\n")
    assert aggregator.refuses(north) == Reason.SITE_REVOKED
    until_shown(federation, north)
    assert reasons(federation)[south] is None
    assert federation.condition("brain", "Degraded")["reason"] == Reason.SITE_REVOKED
    assert next(message for message in streams[south] if message.WhichOneof("body") == "train").train.round == 1


def test_a_site_that_was_revoked_while_the_operator_was_away_is_out_once_it_is_back(federation, aggregator):
    north, south = federation.sites
    streams = [aggregator.attend(site) for site in (north, south)]
    federation.wait_for("brain", "Running", "True", "Training")
    federation.running[0].kill()
    revoke(federation, north)
    federation.restart(federation.running[0])
    aborted = next(message for message in streams[0] if message.WhichOneof("body") == "abort")
    assert aborted.abort.reason == Reason.SITE_REVOKED
    until_shown(federation, north)


def test_a_site_that_was_revoked_while_the_aggregator_was_away_does_not_come_back(federation, aggregator):
    north, _ = federation.sites
    aggregator.attend(north)
    aggregator.kill()
    revoke(federation, north)
    aggregator.start()
    wait_until("it is refused", partial(aggregator.refuses, north), is_it=lambda reason: reason == Reason.SITE_REVOKED)
    aggregator.kill()
    federation.running[0].kill()
    aggregator.start()
    assert aggregator.refuses(north) == Reason.SITE_REVOKED, "it has written that down"
