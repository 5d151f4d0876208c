"""Metrics by mutual TLS: who gets them, who does not, and what happens when certificates change."""

from __future__ import annotations

import argparse
import logging
import socket
import ssl
from datetime import UTC, datetime, timedelta
from http.client import HTTPSConnection
from logging.handlers import QueueHandler
from queue import SimpleQueue
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry, Gauge

from fedward_protocol import probes
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority
from fedward_protocol.scraping import Secured, add_arguments, read_arguments

NOW = datetime.now(UTC)
ME = Identity("fed.example.org", "site", "monitoring")
LIFE = timedelta(hours=1)


@pytest.fixture(scope="module")
def authority():
    return Authority.create("fed.example.org", NOW)


@pytest.fixture(scope="module")
def running(tmp_path_factory, authority):
    """One server for all tests, as starting and ending it takes longest, and its folder."""
    folder, registry = tmp_path_factory.mktemp("tls"), CollectorRegistry()
    Gauge("depth", "Depth", registry=registry).set(7)
    issue(authority).write(folder)
    with probes.serve("127.0.0.1:0", registry, lambda: None, secured=Secured("127.0.0.1:0", folder)) as server:
        yield server, folder


@pytest.fixture
def server(running):
    return running[0]


@pytest.fixture
def folder(running, authority):
    """The server's folder, all in order, whatever the test before has done to it."""
    issue(authority).write(running[1])
    return running[1]


@pytest.fixture
def scrape(server, folder, tmp_path, authority):
    """Ask for a path by TLS, as somebody with these credentials; return status, page and the server's certificate."""

    def ask(credentials, path="/metrics", version=None):
        context = ssl.create_default_context(cadata=authority.ca_pem.decode())
        if version is not None:
            context.minimum_version = context.maximum_version = version
        if credentials is not None:
            credentials.write(tmp_path / "scraper")
            context.load_cert_chain(tmp_path / "scraper/tls.crt", tmp_path / "scraper/tls.key")
        connection = HTTPSConnection("localhost", server.secured.port, timeout=5, context=context)
        connection.connect()
        shown = connection.sock.getpeercert(binary_form=True)
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(), shown

    return ask


@pytest.fixture
def said():
    """What the server logs, as it comes: its thread may log after the client has its answer."""
    queue, logger = SimpleQueue(), logging.getLogger("fedward_protocol.probes")
    handler = QueueHandler(queue)
    logger.addHandler(handler)
    yield queue
    logger.removeHandler(handler)


def issue(authority, begins=NOW):
    return authority.issue(ME, ["localhost"], begins, LIFE)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_shows_a_certificate_of_the_authority_may_scrape(scrape, authority, version):
    status, page, _ = scrape(issue(authority), version=version)
    assert (status, b"depth 7.0" in page) == (200, True)


def test_who_shows_no_certificate_is_refused(scrape, said):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scrape(None)
    record = said.get(timeout=10)
    assert (record.message, record.peer) == ("a scraper was refused", "127.0.0.1")


def test_who_shows_a_certificate_of_another_authority_is_refused(scrape):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scrape(issue(Authority.create("fed.example.org", NOW)))


def test_who_shows_a_certificate_that_has_run_out_is_refused(scrape, authority):
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scrape(issue(authority, NOW - 2 * LIFE))


def test_the_clear_port_answers_probes_and_shows_no_metrics(server):
    for path, answer in (("healthz", b"ok\n"), ("readyz", b"ready\n")):
        assert urlopen(f"http://127.0.0.1:{server.port}/{path}", timeout=5).read() == answer
    with pytest.raises(HTTPError) as refused:
        urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5)
    assert (refused.value.code, refused.value.read()) == (403, probes._ELSEWHERE)


def test_the_encrypted_port_shows_nothing_but_metrics(scrape, authority):
    assert scrape(issue(authority), "/healthz")[0] == 404


def test_a_renewed_certificate_is_shown_from_the_next_connection_on(scrape, folder, authority):
    renewed, scraper = issue(authority), issue(authority)
    before = scrape(scraper)[2]
    renewed.write(folder)

    after = scrape(scraper)[2]
    assert after != before
    assert ssl.DER_cert_to_PEM_cert(after).encode() == renewed.cert_pem


@pytest.mark.parametrize("spoil", ["tls.crt", "tls.key", "ca.crt"])
@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_while_a_file_is_of_no_use_everything_stays_as_it_was(scrape, folder, authority, spoil, content, caplog):
    scraper = issue(authority)
    before = scrape(scraper)[2]
    (folder / spoil).unlink()
    if content is not None:
        (folder / spoil).write_bytes(content)

    assert scrape(scraper)[2] == before
    with pytest.raises((ssl.SSLError, ConnectionError)):
        scrape(None)
    assert "the metrics' certificate cannot be read again" in caplog.text


def test_without_an_authority_of_scrapers_nothing_is_served(folder):
    (folder / "ca.crt").unlink()
    with pytest.raises(ValueError, match=r"tls\.crt, tls\.key or ca\.crt cannot be used: .*ca\.crt"):
        probes.serve("127.0.0.1:0", CollectorRegistry(), lambda: None, secured=Secured("127.0.0.1:0", folder))


def test_a_client_that_never_shakes_hands_holds_up_nobody(server, scrape, authority):
    with socket.create_connection(("127.0.0.1", server.secured.port)):
        assert scrape(issue(authority))[0] == 200


def test_where_the_probes_port_is_taken_the_other_is_given_back(folder):
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as free:
        address, other = (f"127.0.0.1:{each.getsockname()[1]}" for each in (taken, free))
        free.close()
        with pytest.raises(probes.ListenError, match=f"cannot listen on {address}"):
            probes.serve(address, CollectorRegistry(), lambda: None, secured=Secured(other, folder))
        with probes.serve_paths(other, {}, shares_port=False):
            pass


@pytest.mark.parametrize("given", [["--secure-metrics=127.0.0.1:9443"], ["--secure-metrics-tls=/tls"]])
def test_an_address_without_certificates_and_the_other_way_round_are_refused(given):
    parser = argparse.ArgumentParser()
    add_arguments(parser)

    assert read_arguments(parser.parse_args([])) is None
    with pytest.raises(ValueError, match="--secure-metrics and --secure-metrics-tls go together"):
        read_arguments(parser.parse_args(given))
