"""A round as one trace, over a real federation: hub and hospitals export what they did, and the ids join it."""

from __future__ import annotations

import socket
from collections import Counter

import pytest
from collector import Collector
from toy_federation import SITES, federate

from fedward_protocol.plan import Plan
from fedward_protocol.tracing.exporting import ENDPOINT
from fedward_protocol.tracing.spans import RoundTrace

pytestmark = pytest.mark.process

ROUNDS = 2
FILTERED = (f"rounds.count={ROUNDS}", "privacy.filters=[{name: percentile, keep: 0.4}]")


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """Run a federation of three sites; give its plan and the spans of all its processes."""
    folder = tmp_path_factory.mktemp("traced")
    with Collector() as collector, pytest.MonkeyPatch.context() as patch:
        patch.setenv(ENDPOINT, collector.endpoint)
        patch.setenv("TOY_ELEMENTS", "3000000")  # large enough for each stage to be noticed
        assert federate(folder, overrides=FILTERED).state == "Completed"
    (plan,) = folder.glob("out/**/plan.json")
    return Plan.parse(plan.read_bytes()), collector.spans


def children(spans, parent):
    return [span for span in spans if span.parent_id == parent.span_id]


def test_each_round_is_one_trace_whose_id_follows_from_job_attempt_and_round(traced):
    plan, spans = traced
    expected = {RoundTrace(plan.job, 1, number).trace_id for number in range(1, ROUNDS + 1)}
    assert {span.trace_id for span in spans} == expected
    assert len({(span.trace_id, span.span_id) for span in spans}) == len(spans)


def test_the_hub_times_round_wait_updates_and_aggregation_and_each_hospital_its_part_below_them(traced):
    plan, spans = traced
    for number in range(1, ROUNDS + 1):
        mine = [span for span in spans if span.trace_id == RoundTrace(plan.job, 1, number).trace_id]
        (root,) = [span for span in mine if not span.parent_id]
        below = children(mine, root)
        assert (root.name, root.service) == ("round", "fedward-aggregator")
        assert Counter((span.service, span.name) for span in below) == {
            ("fedward-aggregator", "wait"): 1,
            ("fedward-aggregator", "aggregate"): 1,
            ("fedward-aggregator", "update"): len(SITES),
            ("fedward-gateway", "site-round"): len(SITES),
        }
        parts = [span for span in below if span.name == "site-round"]
        assert {span.attributes["fedward.site"] for span in parts} == set(SITES)
        for part in parts:
            stages = sorted(children(mine, part), key=lambda span: span.start)
            assert [span.name for span in stages] == ["fetch", "evaluate", "train", "filter", "submit"]
            assert {span.attributes["fedward.site"] for span in stages} == {part.attributes["fedward.site"]}
            assert all(part.start <= span.start <= span.end <= part.end for span in stages)
        assert len(mine) == 1 + len(below) + 5 * len(SITES), "no span is without its parent"


def test_a_span_says_whose_it_is_and_how_much_moved_and_none_is_wrong(traced):
    _, spans = traced
    assert {span.error for span in spans} == {None}
    for span in spans:
        assert (span.attributes["fedward.job"], span.attributes["fedward.attempt"]) == ("research/toy", 1)
    moved = {span.name: span.attributes["fedward.nbytes"] for span in spans if "fedward.nbytes" in span.attributes}
    assert moved.keys() == {"fetch", "submit", "update", "aggregate"}
    assert (moved["submit"], moved["fetch"]) == (moved["update"], moved["aggregate"])


@pytest.mark.parametrize("collector", ["away", "silent"])
def test_a_collector_that_is_away_or_never_answers_delays_no_round_and_is_said_once(tmp_path, monkeypatch, collector):
    with Collector(answers=False) as silent, socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: nobody answers there
        away = f"http://127.0.0.1:{held.getsockname()[1]}"
        monkeypatch.setenv(ENDPOINT, away if collector == "away" else silent.endpoint)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        result = federate(tmp_path, overrides=("rounds.count=3",))
    assert result.state == "Completed"
    logs = {path.stem: path.read_text() for path in (tmp_path / "out" / "logs").glob("*.log")}
    for name, text in logs.items():
        assert text.count("spans cannot be delivered") <= 1, name
        assert "opentelemetry" not in text, name
        assert "Traceback" not in text, name
