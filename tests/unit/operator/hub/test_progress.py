"""What an aggregator says becomes numbers that a status can hold."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from situation import Life, aggregator, parts, pod

from fedward_operator.hub.progress import Progress, SiteProgress, read_progress
from fedward_protocol.wire import federation_pb2 as pb


def message(*sites, **more):
    return pb.JobStatus(state="Training", round=3, attempt=2, quorum_met=True, sites=sites, **more)


def site(name, cases=70, round_=3, state="Training", reason="", **metrics):
    status = pb.SiteStatus(name=name, state=state, round=round_, reason=reason, training_cases=cases)
    for metric, (total, count) in metrics.items():
        status.metrics[metric].CopyFrom(pb.MeanMetric(sum=total, count=count))
    return status


def test_means_are_over_cases_not_over_sites():
    found = read_progress(message(site("east", dice=(9.0, 10)), site("north", dice=(20.0, 40))))

    assert found.metrics == {"dice": pytest.approx(29 / 50)}
    assert {name: dict(each.metrics) for name, each in found.sites.items()} == {
        "east": {"dice": 0.9},
        "north": {"dice": 0.5},
    }


def test_a_mean_over_nothing_is_no_metric():
    found = read_progress(message(site("east", dice=(0.0, 0), loss=(1.0, 2)), site("north", dice=(0.0, 0))))

    assert found.metrics == {"loss": 0.5}
    assert found.sites["east"].metrics == {"loss": 0.5}
    assert found.sites["north"].metrics == {}


def test_everything_else_is_as_it_was_said():
    found = read_progress(message(site("east", 0, 2, "Failed", "TrainingFailed")))

    assert found == Progress("Training", 3, 2, True, {"east": SiteProgress("Failed", 2, "TrainingFailed", 0, {})}, {})


def test_a_failure_has_a_reason_and_words_and_no_failure_is_none():
    assert read_progress(message()).failure is None
    failure = pb.Refusal(reason="QuorumLost", message="east has failed")

    assert read_progress(message(failure=failure)).failure == ("QuorumLost", "east has failed")


SUMS = st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 1000)), max_size=5)


@given(SUMS)
def test_a_mean_lies_between_the_sites_means(sums):
    found = read_progress(message(*(site(f"site-{n}", dice=each) for n, each in enumerate(sums) if each[1])))
    means = [each.metrics["dice"] for each in found.sites.values()]

    assert bool(found.metrics) == bool(means)
    for mean in found.metrics.values():
        assert min(means) - 1e-5 <= mean <= max(means) + 1e-5


@pytest.mark.parametrize(
    "sums",
    [
        (1.0, 2.0),
        pytest.param(
            (1.7e308, 1.7e308),
        ),
    ],
)
def test_whatever_finite_sums_sites_send_the_status_can_be_written(sums):
    said = message(*(site(f"site-{n}", dice=(total, 1)) for n, total in enumerate(sums)))
    facts = {"aggregator": aggregator(), "pods": [pod()], "parts": parts()}
    life = Life().started().after(10, **facts, progress=read_progress(said))

    assert all(math.isfinite(value) for value in life.status.get("metrics", {}).values())
