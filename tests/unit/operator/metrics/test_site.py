"""What a hospital's operator shows to Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.metrics import Metrics, site
from fedward_operator.site.caches import SiteCaches

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
POLICY = SitePolicySpec.model_validate(
    {
        "datasets": [{"name": "brats", "volume": {"persistentVolumeClaim": {"claimName": "scans"}}}],
        "gpus": {"count": 2},
        "concurrency": 3,
    }
)
READY = [{"type": "Ready", "status": "True", "reason": "PolicyHolds"}]


@pytest.fixture
def caches():
    return SiteCaches(lambda _: None, lambda: None, lambda _: None, lambda: None)


@pytest.fixture
def shown(caches):
    """Scrape, and give the value of a metric by its labels."""

    def read(name, policy=POLICY, cases=None, **labels):
        metrics = Metrics("site")
        metrics.show(lambda: site.parts(caches))
        metrics.show(lambda: site.policy(caches, policy, cases or {}))
        return metrics.registry.get_sample_value(f"fedward_operator_{name}", labels)

    return read


def policy(name="north", conditions=READY):
    metadata = {"namespace": "fedward", "name": name, "uid": name, "resourceVersion": "1"}
    return {"metadata": metadata, "spec": {}, "status": {"conditions": conditions}}


def part(name, state):
    metadata = {"namespace": "fedward", "name": name, "uid": name, "resourceVersion": "1"}
    job = {"namespace": "research", "name": "brain", "uid": "0123456789"}
    return {"metadata": metadata, "spec": {"job": job}, "status": {"state": state} if state else {}}


def trainer(name, gpus, conditions=()):
    limits = {"memory": "16Gi", "nvidia.com/mig-1g.10gb": str(gpus)} if gpus else {"memory": "16Gi"}
    return {
        "metadata": {"namespace": "fedward", "name": name, "uid": name, "resourceVersion": "1"},
        "spec": {"template": {"spec": {"containers": [{"name": "trainer", "resources": {"limits": limits}}]}}},
        "status": {"conditions": list(conditions)},
    }


@pytest.mark.parametrize(("said", "state"), [("Training", "Training"), ("", "Pending")])
def test_a_part_is_shown_under_the_jobs_name_at_the_hub(caches, shown, said, state):
    caches.mirrored.put(part("brain.research", said))

    assert shown("site_job_state", job_namespace="research", job_name="brain", state=state) == 1


def test_a_policy_holds_where_it_is_the_only_one_and_says_so(caches, shown):
    assert shown("policy_ready") == 0
    caches.policies.put(policy())
    assert shown("policy_ready") == 1
    caches.policies.put(policy("another"))
    assert shown("policy_ready") == 0


def test_a_policy_that_cannot_be_read_is_not_ready(caches, shown):
    caches.policies.put(policy(conditions=[{"type": "Ready", "status": "False", "reason": "SpecInvalid"}]))

    assert shown("policy_ready", policy=None) == 0
    assert shown("gpus_allowed", policy=None) == 0


def test_the_gpus_of_all_trainers_together_are_shown_and_those_that_are_held(caches, shown):
    ended = [{"type": "Complete", "status": "True"}]
    for each in (trainer("a", 2), trainer("b", 1), trainer("c", 0), trainer("d", 2, ended)):
        caches.trainers.put(each)

    assert (shown("gpus_allowed"), shown("gpus_used")) == (6, 3)


def test_cases_are_shown_by_dataset(caches, shown):
    assert shown("dataset_cases", cases={"brats": 77}, dataset="brats") == 77


@pytest.mark.parametrize(("not_after", "count"), [(None, 1), (NOON, 2)])
def test_the_certificates_end_is_shown_where_the_operator_knows_it(not_after, count):
    samples = list(site.membership(True, not_after))

    assert len(samples) == count
    assert samples[-1][2] == (NOON.timestamp() if not_after else 1)


def test_every_sample_says_whose_operator_it_is():
    registry = Metrics("site", "north").registry

    shown = [sample for family in registry.collect() for sample in family.samples]
    assert shown
    assert {sample.labels.get("site") for sample in shown} == {"north"}


@pytest.mark.parametrize(("leads", "seen"), [(True, 0), (False, None)])
def test_a_replica_that_stands_by_says_nothing_of_what_only_the_leader_knows(caches, leads, seen):
    metrics = Metrics("site")
    metrics.show(lambda: site.policy(caches, None, {}))
    metrics.watch_process(lambda: leads, lambda: leads)

    assert metrics.registry.get_sample_value("fedward_operator_leading") == leads
    assert metrics.registry.get_sample_value("fedward_operator_policy_ready") == seen
