"""The way to a server, rung by rung: what breaks is named, with what to do, and nothing else is blamed for it."""

from __future__ import annotations

import base64
import socket
import ssl
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from servers import HangsUp, Proxy
from tests.kube.control_plane import free_ports

from fedward_operator.checks import clock, connection, door, names, ready, transport
from fedward_operator.checks.connection import Server, ask, secure
from fedward_operator.checks.finding import Level
from fedward_operator.checks.reach import reach
from fedward_protocol.pki import Authority
from fedward_protocol.tls import server_credentials

LOGIN = "Basic " + base64.b64encode(b"site:pass word").decode()
NAME = "hub.example.org"


@pytest.fixture
def proxy():
    running = Proxy(LOGIN)
    yield running
    running.close()


def behind(address, proxy, login="site:pass%20word@"):
    return Server.behind(address, {"HTTPS_PROXY": f"http://{login}{proxy.address}"})


def nobody():
    return Server("127.0.0.1", free_ports(1)[0])


def trusting(authority):
    return ssl.create_default_context(cadata=authority.trusted_pem.decode())


def test_a_name_that_the_dns_does_not_know_is_said_so():
    found = names.resolve("name", Server("nowhere.invalid", 443), "kubectl get pods")

    assert (found.level, found.reason, found.then) == (Level.WRONG, "NameUnresolved", "kubectl get pods")
    assert "nowhere.invalid" in found.said


def test_a_name_that_is_known_is_said_with_its_addresses():
    assert names.resolve("name", Server("localhost", 443), "").said.startswith("localhost is ")
    assert names.resolve("name", Server("::1", 443), "").level is Level.OK


def test_behind_a_proxy_only_the_proxy_has_to_be_known():
    server = Server.behind("hub.invalid:443", {"HTTPS_PROXY": "http://127.0.0.1:3128"})
    assert names.resolve("name", server, "").level is Level.OK

    server = Server.behind("127.0.0.1:443", {"HTTPS_PROXY": "http://proxy.invalid:3128"})
    assert "proxy.invalid" in names.resolve("name", server, "").said


def test_a_port_on_which_nobody_listens_is_unreachable():
    server = nobody()
    found = reach("door", server, "")

    assert (found.level, found.reason) == (Level.WRONG, "Unreachable")
    assert server.address in found.said
    assert "refused" in found.said


def test_a_proxy_that_says_nothing_is_given_up(monkeypatch):
    monkeypatch.setattr(connection, "LIMIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        found = reach("door", Server.behind("hub.example.org:443", {"HTTPS_PROXY": address}), "")

    assert (found.level, found.reason) == (Level.WRONG, "Unreachable")
    assert "no answer within" in found.said


def test_a_server_that_listens_is_reached(web):
    assert reach("door", web().there, "").level is Level.OK


def test_a_proxy_is_asked_to_lead_there_with_its_password_and_nobody_else_is_told_it(web, proxy):
    server = behind(web().address, proxy)
    found = reach("door", server, "")

    assert found.level is Level.OK
    assert proxy.asked == [server.address]
    assert "pass" not in found.said


@pytest.mark.parametrize("login", ["", "site:wrong@"], ids=["without a password", "with another password"])
def test_a_proxy_that_wants_a_password_is_said_so(web, proxy, login):
    found = reach("door", behind(web().address, proxy, login), "")

    assert (found.level, found.reason) == (Level.WRONG, "ProxyRefused")
    assert "407 Proxy Authentication Required; give user and password" in found.said
    assert "wrong" not in found.said


def test_a_proxy_that_is_away_is_unreachable():
    found = reach("door", Server.behind("hub.example.org:443", {"HTTPS_PROXY": f"http://{nobody().address}"}), "")

    assert (found.level, found.reason) == (Level.WRONG, "Unreachable")


def test_what_is_no_proxy_is_said_so(web):
    hangs_up = HangsUp()
    try:
        found = reach("door", behind("hub.example.org:443", hangs_up, ""), "")
    finally:
        hangs_up.close()

    assert (found.level, found.reason) == (Level.WRONG, "ProxyRefused")


@pytest.mark.parametrize("through", [False, True], ids=["directly", "through a proxy"])
def test_a_certificate_that_holds_is_said_with_its_end(web, proxy, issue, authority, through):
    there = web(credentials=issue())
    server = behind(there.address, proxy) if through else there.there
    found = transport.trust("TLS", server, trusting(authority), NAME, "")

    assert found.level is Level.OK
    assert "good until" in found.said


def test_a_certificate_that_does_not_hold_is_said_why_and_what_was_shown(web, issue, authority, now):
    stranger = Authority.create("fed.example.org", now)
    cases = {
        "CertificateExpired": (issue(days=1, ago=3), "the certificate expired at"),
        "CertificateNotYetValid": (issue(ago=-3), "is this clock right?"),
        "ServerNameMismatch": (
            issue(names=["other.example.org"]),
            "is for spiffe://fed.example.org/hub, other.example",
        ),
        "CertificateUntrusted": (issue(by=stranger), "of CN=fed.example.org authority; does something open TLS"),
    }
    for reason, (credentials, words) in cases.items():
        found = transport.trust("TLS", web(credentials=credentials).there, trusting(authority), NAME, "look")

        assert (found.level, found.reason, found.then) == (Level.WRONG, reason, "look")
        assert words in found.said


def test_a_server_that_speaks_no_tls_or_hangs_up_fails(web, authority):
    hangs_up = HangsUp()
    try:
        for server in (web().there, hangs_up.there):
            found = transport.trust("TLS", server, trusting(authority), NAME, "")
            assert (found.level, found.reason) == (Level.WRONG, "TlsFailed")
    finally:
        hangs_up.close()


def test_a_gateways_certificate_is_seen_on_its_grpc_port(issue, authority):
    server = grpc.server(ThreadPoolExecutor(1))
    credentials = server_credentials(issue("site/north", ["gateway.north.fed.example.org"]), require_client=False)
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        context = trusting(authority)
        there = Server("127.0.0.1", port)
        assert transport.trust("TLS", there, context, "gateway.north.fed.example.org", "").level is Level.OK
        assert (
            transport.trust("TLS", there, context, "gateway.south.fed.example.org", "").reason == "ServerNameMismatch"
        )
    finally:
        server.stop(None)


@pytest.mark.parametrize(
    ("off", "level", "words"),
    [
        (timedelta(minutes=5), Level.WRONG, "s behind the hub's"),
        (timedelta(minutes=-5), Level.WRONG, "s ahead of the hub's"),
        (timedelta(seconds=50), Level.OK, "within"),
        (timedelta(0), Level.OK, "within 1 s"),
    ],
)
def test_a_clock_that_is_off_is_noticed_by_the_servers_date(web, issue, authority, off, level, words):
    server = web(credentials=issue(), off=off)
    with secure(server.there, trusting(authority), NAME) as stream:
        answer = ask(stream, NAME, "/")
    found = clock.agree("clock", answer.headers.get("Date"), datetime.now(UTC), "timedatectl")

    assert found.level is level
    assert words in found.said
    assert (found.reason == "ClockSkewed") == (level is Level.WRONG)


@pytest.mark.parametrize("date", [None, "", "yesterday", "Wed, 25 Nov 2026 21:00:00 -0000"])
def test_a_server_that_does_not_say_the_time_is_not_blamed(date):
    assert clock.agree("clock", date, datetime.now(UTC), "").level is Level.SKIPPED


def test_a_token_is_shown_and_an_answer_read(web, issue, authority):
    server = web({"/api": (403, {"message": "no"})}, issue())
    with secure(server.there, trusting(authority), NAME) as stream:
        answer = ask(stream, NAME, "/api?limit=1", "t0ken")

    assert (answer.status, answer.body) == (403, b'{"message": "no"}')
    assert server.asked == [("/api?limit=1", "Bearer t0ken")]


def test_a_part_is_ready_when_it_says_so(web):
    there = web({"/readyz": (200, "ready\n")})
    assert ready.ready("gateway", there.there, "").level is Level.OK

    there.answers["/readyz"] = (503, "the certificate expired at 2026-01-01\n")
    found = ready.ready("gateway", there.there, "kubectl logs")
    assert (found.level, found.reason, found.then) == (Level.WRONG, "NotReady", "kubectl logs")
    assert found.said == "it answers 503: the certificate expired at 2026-01-01"

    assert ready.ready("gateway", nobody(), "").reason == "NotReady"


def test_a_door_hangs_up_on_who_is_nobody(web, issue):
    hangs_up = HangsUp()
    try:
        assert door.closed_to(hangs_up.there, "nobody.example", "").level is Level.OK
    finally:
        hangs_up.close()
    found = door.closed_to(web(credentials=issue()).there, "nobody.example", "")
    assert (found.level, found.reason) == (Level.WRONG, "DoorPassesAnyName")
    assert door.closed_to(nobody(), "nobody.example", "").level is Level.SKIPPED


def test_addresses_are_read_as_people_write_them():
    assert Server.direct("[fd00::1]:8443") == Server("fd00::1", 8443)
    assert Server("fd00::1", 8443).address == "[fd00::1]:8443"
    assert replace(Server.direct("hub:443"), port=80).address == "hub:80"


def test_nothing_waits_longer_than_its_limit(monkeypatch, authority):
    monkeypatch.setattr(connection, "LIMIT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        found = transport.trust("TLS", Server(*silent.getsockname()), trusting(authority), NAME, "")

    assert (found.level, found.reason) == (Level.WRONG, "TlsFailed")
    assert time.monotonic() - began < 5
