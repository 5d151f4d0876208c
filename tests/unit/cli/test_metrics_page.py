"""One page of several processes' metrics: joined, without those that are away, on a port that must be free."""

from __future__ import annotations

import socket
from urllib.request import urlopen

import pytest
from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fedward_cli.local import metrics_page
from fedward_cli.local.metrics_page import MetricsPage, join, serving
from fedward_cli.problems import InputError
from fedward_protocol import probes
from fedward_protocol.labelled_registry import LabelledRegistry


def registry_of(site):
    registry = LabelledRegistry({"site": site})
    Gauge("depth", 'Depth of the "well"\nin metres', registry=registry).set(3)
    Counter("seen", "Seen", registry=registry).inc()
    Histogram("seconds", "Seconds", registry=registry, buckets=(1,)).observe(0.5)
    return registry


def page_of(site):
    return generate_latest(registry_of(site)).decode()


def values(page):
    return {
        (sample.name, sample.labels["site"], sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def test_a_family_stands_once_with_everybodys_samples():
    joined = join([page_of("north"), page_of("south")])
    assert joined.count("# TYPE depth gauge") == joined.count("# HELP depth ") == 1
    assert joined.count("# TYPE seconds histogram") == 1
    assert values(joined) == values(page_of("north")) | values(page_of("south"))
    families = [family.name for family in text_string_to_metric_families(joined)]
    assert len(families) == len(set(families))


def test_one_page_is_joined_to_itself():
    assert join([page_of("north")]) == page_of("north")


def test_nothing_is_joined_to_an_empty_page():
    assert join([]) == join(["", ""]) == ""


def read(url):
    with urlopen(url, timeout=10) as response:
        return response.read().decode()


def test_processes_that_are_away_stuck_or_broken_do_not_hide_the_others(monkeypatch):
    monkeypatch.setattr(metrics_page, "_ANSWER_S", 0.1)
    page = MetricsPage()
    with (
        probes.serve("127.0.0.1:0", registry_of("north"), lambda: None) as north,
        probes.serve("127.0.0.1:0", registry_of("south"), lambda: None) as south,
        probes.serve_paths("127.0.0.1:0", {}, shares_port=False) as broken,
        socket.create_server(("127.0.0.1", 0)) as stuck,
        socket.socket() as away,
        serving(page, "127.0.0.1:0") as url,
    ):
        away.bind(("127.0.0.1", 0))
        ports = (away.getsockname()[1], north.port, stuck.getsockname()[1], south.port, broken.port)
        page.follow(f"127.0.0.1:{port}" for port in ports)
        assert values(read(url)) == values(page_of("north")) | values(page_of("south"))
        page.follow(())
        assert read(url) == ""


def test_a_taken_port_is_bad_input_that_says_what_to_do():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(InputError) as refused, serving(MetricsPage(), address):
            pass
    assert str(refused.value) == (
        f"--metrics: cannot listen on {address}: Address already in use; choose another with --metrics HOST:PORT"
    )


def test_two_runs_do_not_share_a_port():
    with serving(MetricsPage(), "127.0.0.1:0") as url:
        address = url.split("/")[2]
        with pytest.raises(InputError, match="Address already in use"), serving(MetricsPage(), address):
            pass


@pytest.mark.parametrize("text", ["9464", "localhost", "localhost:99999"])
def test_what_is_no_address_is_bad_input(text):
    with pytest.raises(InputError, match=f'--metrics: "{text}" is not HOST:PORT'), serving(MetricsPage(), text):
        pass
