"""The probe server under clients that are slow, gone or too many, and on a port that is taken."""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import ExitStack
from http import HTTPStatus
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Gauge

from fedward_protocol import probes


@pytest.fixture
def registry():
    registry = CollectorRegistry()
    gauge = Gauge("depth", "Depth", ["place"], registry=registry)
    for number in range(10_000):  # a page larger than what the sockets' buffers take
        gauge.labels(f"{number:0100d}").set(1)
    return registry


def test_clients_that_do_not_read_and_clients_that_do_not_ask_hold_up_nobody(registry):
    with probes.serve("127.0.0.1:0", registry, lambda: None) as server, ExitStack() as stuck:
        for request in (b"", b"GET /metrics HTTP/1.1\r\n\r\n") * 2:
            client = stuck.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            client.sendall(request)
        with urlopen(f"http://127.0.0.1:{server.port}/healthz", timeout=3) as response:
            assert response.read() == b"ok\n"


@pytest.mark.parametrize(("nbytes", "logged"), [(10_000_000, 0), (-1, 1)])
def test_a_client_that_has_gone_away_is_not_logged_and_a_fault_is(caplog, nbytes, logged):
    asked, gone, threads = threading.Event(), threading.Event(), []

    def look():
        threads.append(threading.current_thread())
        asked.set()
        assert gone.wait(10)
        return HTTPStatus.OK, "text/plain", bytes(nbytes)

    with probes.serve_paths("127.0.0.1:0", {"/": look}, shares_port=False) as server:
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset at the end
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert asked.wait(10)
        gone.set()
        threads[0].join(10)
    assert [record.message for record in caplog.records] == ["a probe could not be answered"] * logged


def test_a_taken_port_is_named():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(probes.ListenError, match=f"^cannot listen on {address}: Address already in use$"):
            probes.serve(address, CollectorRegistry(), lambda: None)


def test_a_port_that_is_not_shared_is_refused_even_to_the_same_user():
    with probes.serve_paths("127.0.0.1:0", {}, shares_port=False) as first:
        with pytest.raises(probes.ListenError, match="Address already in use"):
            probes.serve_paths(f"127.0.0.1:{first.port}", {}, shares_port=False)
        with pytest.raises(probes.ListenError, match="Address already in use"):
            probes.serve_paths(f"127.0.0.1:{first.port}", {}, shares_port=True)
