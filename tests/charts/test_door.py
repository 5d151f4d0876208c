"""The door, as the chart configures it and nginx understands it: which name leads where, and which leads nowhere."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.charts.helm import CHARTS, VALUES, of_kind, render, run
from tests.kube.control_plane import free_ports
from tests.kube.waiting import wait_until

MODULES = Path("/etc/nginx/modules-enabled/50-mod-stream.conf")

pytestmark = pytest.mark.charts


class Names:
    """A names' server that knows nobody, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self) -> None:
        while True:
            try:
                query, whom = self._socket.recvfrom(512)
            except OSError:
                return
            labels, at = [], 12
            while query[at]:
                labels.append(query[at + 1 : at + 1 + query[at]].decode())
                at += 1 + query[at]
            self.asked.append(".".join(labels))
            # The question again, with "no such name".
            self._socket.sendto(query[:2] + b"\x81\x83" + query[4:6] + bytes(6) + query[12:], whom)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Names]]:
    """A running door; its port, and whom it asks."""
    if not (shutil.which("nginx") and MODULES.exists()):
        pytest.skip("no nginx with its stream module")
    folder, names, (port, health) = tmp_path_factory.mktemp("door"), Names(), free_ports(2)
    config = of_kind(render("hub", values={"door": {"resolver": "127.0.0.1"}}), "ConfigMap")["fedward-door"]
    text: str = config["data"]["nginx.conf"]
    for said, here in (
        ("resolver 127.0.0.1 ", f"resolver 127.0.0.1:{names.port} ipv6=off "),
        ("listen 8443 ", f"listen 127.0.0.1:{port} "),
        ("listen 8081;", f"listen 127.0.0.1:{health};"),
        ("pid /tmp/", f"pid {folder}/"),
        ("/dev/stdout", f"{folder}/access.log"),
    ):
        assert text.count(said) == 1, said
        text = text.replace(said, here)
    (folder / "nginx.conf").write_text(text)
    process = subprocess.Popen(["nginx", "-e", "stderr", "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE)
    try:
        wait_until("the door is open", lambda: answers(port) or process.poll() is not None, 10)
        assert process.poll() is None, process.stderr and process.stderr.read().decode()
        yield port, names
    finally:
        process.terminate()
        process.wait(10)
        names.close()


def answers(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def asked_for(door: tuple[int, Names], name: str | None) -> list[str]:
    """Ask the door for a server, and return whom it looked for."""
    port, names = door
    names.asked.clear()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    # Nobody is there, or nobody is to be found: either way the door closes.
    with raw, pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(raw, server_hostname=name)
    return sorted(set(names.asked))


@pytest.mark.parametrize(
    ("name", "leads_to"),
    [
        ("kubernetes.default.svc", "kubernetes.default.svc.cluster.local"),
        ("brain.research.fed.example.org", "brain-aggregator.research.svc.cluster.local"),
        ("brain-tumour-2.team-1.fed.example.org", "brain-tumour-2-aggregator.team-1.svc.cluster.local"),
    ],
)
def test_a_name_of_the_federation_leads_to_its_server(door: tuple[int, Names], name: str, leads_to: str) -> None:
    assert asked_for(door, name) == [leads_to]


@pytest.mark.parametrize(
    "name",
    [
        None,
        "fed.example.org",
        "research.fed.example.org",
        "a.brain.research.fed.example.org",
        "brain.research.fedxexample.org",
        "brain.research.fed.example.org.elsewhere.example",
        "brain.research.elsewhere.example",
        "kubernetes.default.svc.cluster.local",
        "fedward-gateway.fedward.svc",
        "-brain.research.fed.example.org",
    ],
)
def test_any_other_name_leads_nowhere(door: tuple[int, Names], name: str | None) -> None:
    assert asked_for(door, name) == []


@pytest.mark.parametrize(("kind", "lets_in"), [("LoadBalancer", ["192.0.2.0/24"]), ("NodePort", None)])
def test_who_may_reach_the_door_is_told_to_a_load_balancer_alone(kind: str, lets_in: list[str] | None) -> None:
    """Kubernetes refuses a Service of another type that says so."""
    service = {"type": kind, "loadBalancerSourceRanges": ["192.0.2.0/24"]}
    door = of_kind(render("hub", values={"door": {"service": service}}), "Service")["fedward-door"]

    assert door["spec"].get("loadBalancerSourceRanges") == lets_in


@pytest.mark.parametrize(
    ("known", "version"),
    [([], "v1"), (["v1alpha2"], "v1alpha2"), (["v1alpha2", "v1alpha3"], "v1alpha3"), (["v1alpha3", "v1"], "v1")],
)
def test_a_route_to_the_door_is_of_the_newest_version_that_the_cluster_knows(known: list[str], version: str) -> None:
    knows = [f"--api-versions=gateway.networking.k8s.io/{each}/TLSRoute" for each in known]
    shown = run(
        "template", CHARTS["hub"], "--values", VALUES / "hub/everything.yaml", "-s", "templates/tls-route.yaml", *knows
    )
    assert f"apiVersion: gateway.networking.k8s.io/{version}\n" in shown
