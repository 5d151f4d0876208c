"""An aggregator whose metrics are by mutual TLS, of another authority than the one that hospitals have."""

from __future__ import annotations

import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.kube.control_plane import free_ports
from tests.kube.waiting import wait_until
from toy_federation import documents

from fedward_protocol.identity import Identity, aggregator_name, metrics_name
from fedward_protocol.pki import Authority, Credentials

pytestmark = pytest.mark.process


def test_scrapers_are_answered_and_a_hospital_is_not(tmp_path: Path) -> None:
    plan = documents(tmp_path).plan("0123456789")
    (tmp_path / "plan.json").write_bytes(plan.canonical())
    now, day, federation = datetime.now(UTC), timedelta(days=1), plan.federation
    ours, theirs = Authority.create(federation, now), Authority.create("monitoring", now)
    names = [aggregator_name(plan.job.name, plan.job.namespace, federation), metrics_name(federation)]
    shown = ours.issue(Identity(federation, "job", plan.job.uid), names, now, day)
    shown.write(tmp_path / "tls")
    Credentials(shown.cert_pem, shown.key_pem, theirs.ca_pem).write(tmp_path / "metrics-tls")
    prometheus = theirs.issue(Identity("monitoring", "site", "prometheus"), [], now, day)
    hospital = ours.issue(Identity(federation, "site", plan.sites[0]), [], now, day)
    clear, secured = free_ports(2)

    command = [sys.executable, "-m", "fedward_server", "--plan", tmp_path / "plan.json", "--attempt", "1"]
    command += ["--state", tmp_path / "state", "--tls", tmp_path / "tls", "--listen", "127.0.0.1:0"]
    command += ["--metrics", f"127.0.0.1:{clear}", "--secure-metrics", f"127.0.0.1:{secured}"]
    with (tmp_path / "log").open("wb") as log:
        aggregator = subprocess.Popen([*command, "--secure-metrics-tls", tmp_path / "metrics-tls"], stderr=log)
    try:
        wait_until("it answers", lambda: asked(f"http://127.0.0.1:{clear}/healthz")[0] == 200, 30)

        status, page = asked(f"https://127.0.0.1:{secured}/metrics", way(tmp_path, prometheus, ours, federation))
        assert (status, "fedward_aggregator_" in page) == (200, True)
        status, page = asked(f"https://127.0.0.1:{secured}/metrics", way(tmp_path, hospital, ours, federation))
        assert status == 0, "a hospital has a certificate of ours, and no business here"
        assert asked(f"http://127.0.0.1:{clear}/metrics")[0] == 403
    finally:
        aggregator.terminate()
        aggregator.wait(20)


def way(folder: Path, shown: Credentials, believed: Authority, federation: str) -> ssl.SSLContext:
    """Show this certificate, and meet somebody by the name that a PodMonitor asks for."""
    shown.write(folder / "shown")
    context = Named(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=believed.ca_pem.decode())
    context.load_cert_chain(folder / "shown/tls.crt", folder / "shown/tls.key")
    context.name = metrics_name(federation)
    return context


class Named(ssl.SSLContext):
    """Asks for the one name, whatever the address."""

    name = ""

    def wrap_socket(self, sock: object, *arguments: object, **options: object) -> ssl.SSLSocket:  # type: ignore[override]
        return super().wrap_socket(sock, *arguments, **options | {"server_hostname": self.name})  # type: ignore[arg-type]


def asked(url: str, context: ssl.SSLContext | None = None) -> tuple[int, str]:
    """Give the answer's status and text; 0 if there is none."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=context) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""
