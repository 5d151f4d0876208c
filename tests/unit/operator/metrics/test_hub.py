"""What a hub shows of its jobs and sites to Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest

from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches
from fedward_operator.metrics import Metrics, hub
from fedward_protocol.pki import Authority

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
JOB = {"job_namespace": "research", "job_name": "brain"}
HOLDS = ("True", "Running", "Training"), ("False", "Completed", "NotFinished")


@pytest.fixture
def caches():
    return HubCaches(lambda _: None, lambda _: None, lambda _: None, lambda: NOON)


@pytest.fixture
def shown(caches):
    """Scrape, and give the value of a metric by its labels."""
    metrics = Metrics("hub")
    metrics.show(lambda: hub.jobs(caches))
    metrics.show(lambda: hub.sites(caches, NOON))
    return lambda name, **labels: metrics.registry.get_sample_value(f"fedward_operator_{name}", labels)


def job(name="brain", conditions=HOLDS, evaluation=None, **status):
    metadata = {"namespace": "research", "name": name, "uid": name, "resourceVersion": "1"}
    said = [{"type": kind, "status": is_so, "reason": reason} for is_so, kind, reason in conditions]
    return {
        "metadata": {**metadata, "creationTimestamp": "2026-03-02T11:00:00Z"},
        "spec": {"rounds": {"count": 30}} | ({"evaluation": evaluation} if evaluation else {}),
        "status": {"conditions": said, **status},
    }


def aggregator(uid, attempt, failed):
    labels = {"fedward.io/job": "brain", "fedward.io/job-namespace": "research", "fedward.io/job-uid": uid}
    metadata = {"namespace": "research", "name": f"{uid}-aggregator-{attempt}", "uid": f"{uid} {attempt}"}
    return {
        "metadata": metadata | {"resourceVersion": "1", "labels": labels | {"fedward.io/attempt": str(attempt)}},
        "status": {"failed": failed},
    }


def site(name, **spec):
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": spec}


def heartbeat(name, gpus):
    notes = {"fedward.io/offer": f'{{"version": "1", "gpus": {gpus}, "datasets": []}}'}
    place = {"namespace": f"fedward-site-{name}", "name": "fedward-site"}
    return {"metadata": {**place, "uid": name, "resourceVersion": "1", "annotations": notes}}


PARTS = [
    {"name": "north", "state": "Training", "round": 7},
    {"name": "south", "state": "Completed", "round": 30},
    {"name": "west", "state": "Offline", "round": 0},
]


def test_a_job_is_shown_with_all_that_its_status_says(caches, shown):
    caches.jobs.put(job(state="Training", round=7, attempt=2, metrics={"dice": 0.8, "dice_et": 0.7}, sites=PARTS))

    assert shown("job_state", **JOB, state="Training") == 1
    assert (shown("job_round", **JOB), shown("job_rounds", **JOB), shown("job_attempt", **JOB)) == (7, 30, 2)
    assert shown("job_created_timestamp_seconds", **JOB) == (NOON - timedelta(hours=1)).timestamp()
    assert shown("job_score", **JOB, metric="dice") == 0.8
    assert shown("job_site_state", **JOB, site="west", state="Offline") == 1
    assert shown("job_site_round", **JOB, site="north") == 7


@pytest.mark.parametrize(("evaluation", "own"), [({"metric": "accuracy"}, "accuracy"), ({"every": 2}, "dice")])
def test_a_jobs_score_is_by_the_metric_that_it_asks_for(caches, shown, evaluation, own):
    means = {"accuracy": 0.75, "dice": 0.5}
    caches.jobs.put(job(evaluation=evaluation, state="Training", metrics=means))

    assert {metric: shown("job_score", **JOB, metric=metric) for metric in means} == {
        metric: mean if metric == own else None for metric, mean in means.items()
    }


def test_a_jobs_aggregator_is_shown_with_its_failures_since_the_last_start(caches, shown):
    caches.jobs.put(job(attempt=2))
    assert shown("job_aggregator_failures", **JOB) is None

    # The newer one first: which comes last in a cache says nothing.
    caches.aggregators.put(aggregator("brain", attempt=2, failed=1))
    caches.aggregators.put(aggregator("brain", attempt=1, failed=3))
    caches.aggregators.put(aggregator("a forerunner of that name", attempt=5, failed=4))

    assert shown("job_aggregator_failures", **JOB) == 1


def test_a_condition_is_shown_while_it_is_true(caches, shown):
    caches.jobs.put(job())

    assert shown("job_condition", **JOB, condition="Running", reason="Training") == 1
    assert shown("job_condition", **JOB, condition="Completed", reason="NotFinished") is None


@pytest.mark.parametrize(
    ("is_so", "reason", "value"),
    [
        ("True", "Following", 1),
        ("False", "Behind", 0),
        ("False", "QuotaExceeded", 0),
        ("Unknown", "Finishing", None),
        ("False", "HubDoesNotTrack", None),
    ],
)
def test_whether_a_job_is_logged_is_shown_where_it_wants_to_be_and_the_hub_does_so(caches, shown, is_so, reason, value):
    caches.jobs.put(job(conditions=[*HOLDS, (is_so, "Tracked", reason)]))
    assert shown("job_tracked", **JOB) == value
    caches.jobs.put(job(name="other"))
    assert shown("job_tracked", **JOB | {"job_name": "other"}) is None


def test_sites_that_train_or_are_done_count_as_ready(caches, shown):
    caches.jobs.put(job(sites=PARTS))

    assert (shown("job_sites_wanted", **JOB), shown("job_sites_ready", **JOB)) == (3, 2)


def test_a_job_that_nobody_has_looked_at_yet_is_shown_too(caches, shown):
    caches.jobs.put(job(conditions=()))

    assert shown("job_state", **JOB, state="Pending") == 1
    assert (shown("job_sites_wanted", **JOB), shown("job_sites_ready", **JOB)) == (0, 0)


@pytest.mark.parametrize("end", ["Completed", "Failed"])
def test_of_a_job_that_has_ended_the_result_is_shown_and_its_sites_are_not(caches, shown, end):
    caches.jobs.put(job(conditions=[("True", end, "Why")], state=end, metrics={"dice": 0.9}, sites=PARTS))

    assert shown("job_score", **JOB, metric="dice") == 0.9
    assert shown("job_condition", **JOB, condition=end, reason="Why") == 1
    assert shown("job_site_round", **JOB, site="south") is None


def test_a_job_that_is_gone_is_not_shown_any_more(caches, shown):
    caches.jobs.put(job(state="Training"))
    caches.jobs.drop(("research", "brain"))

    assert shown("job_state", **JOB, state="Training") is None


def test_where_there_are_too_many_sites_of_jobs_those_of_jobs_that_stand_still_are_left_out(caches, shown, monkeypatch):
    monkeypatch.setattr(hub, "_MOST_PARTS", 3)
    caches.jobs.put(job("older", sites=PARTS))
    caches.jobs.put(job("newer", sites=PARTS))

    assert shown("job_site_round", job_namespace="research", job_name="newer", site="north") == 7
    assert shown("job_site_round", job_namespace="research", job_name="older", site="north") is None
    assert shown("job_rounds", job_namespace="research", job_name="older") == 30


def test_where_there_are_too_many_jobs_the_ones_that_changed_last_are_shown(caches, shown, monkeypatch):
    monkeypatch.setattr(hub, "_MOST_JOBS", 2)
    for name in ("first", "second", "third"):
        caches.jobs.put(job(name))

    rounds = [shown("job_rounds", job_namespace="research", job_name=name) for name in ("first", "second", "third")]
    assert rounds == [None, 30, 30]


def test_a_site_that_is_heard_is_shown_with_what_it_offers(caches, shown):
    caches.sites.put(site("north"))
    caches.heartbeats.put(heartbeat("north", gpus=4))

    assert (shown("site_connected", site="north"), shown("site_revoked", site="north")) == (1, 0)
    assert shown("site_last_seen_timestamp_seconds", site="north") == NOON.timestamp()
    assert shown("site_gpus", site="north") == 4


def test_a_site_that_was_never_heard_has_no_time_at_which_it_was(caches, shown):
    caches.sites.put(site("north"))

    assert shown("site_connected", site="north") == 0
    assert shown("site_last_seen_timestamp_seconds", site="north") is None


def test_after_a_restart_the_status_says_when_a_site_was_heard_last(caches, shown):
    caches.sites.put({**site("north"), "status": {"lastSeen": "2026-03-02T09:00:00Z"}})

    assert shown("site_last_seen_timestamp_seconds", site="north") == (NOON - timedelta(hours=3)).timestamp()


def test_a_revoked_site_is_not_connected_even_if_it_is_heard(caches, shown):
    caches.sites.put(site("north", revoked=True))
    caches.heartbeats.put(heartbeat("north", gpus=1))

    assert (shown("site_connected", site="north"), shown("site_revoked", site="north")) == (0, 1)


def test_the_end_of_the_authority_is_shown_once_there_is_one():
    held = HubAuthority(None, "fed.example.org")
    assert list(hub.authority(held)) == []

    held.take(Authority.create("fed.example.org", NOON))

    ((gauge, _, ends),) = hub.authority(held)
    assert gauge.name == "fedward_operator_authority_not_after_timestamp_seconds"
    assert ends > (NOON + timedelta(days=365)).timestamp()


@pytest.mark.parametrize("role", ["hub", "site"])
def test_every_family_says_its_labels_before_anything_is_known(role):
    registry = Metrics(role).registry
    page = generate_latest(registry).decode()

    described = {
        family.name: tuple(getattr(family, "_labelnames", ()))
        for collector in registry._collector_to_names
        for family in collector.describe()
    }
    assert all(f"# TYPE {name}" in page for name in described)
    assert described["fedward_operator_queue_depth"] == ("kind",)
    if role == "hub":
        assert described["fedward_operator_job_site_state"] == ("job_namespace", "job_name", "site", "state")
    else:
        assert described["fedward_operator_site_job_state"] == ("job_namespace", "job_name", "state")
