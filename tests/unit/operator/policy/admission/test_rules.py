"""Each rule by which a hospital admits a SiteJob, and all of them together."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedward_operator.api.job import PodTemplate, Resources
from fedward_operator.api.policy import Limits, Schedule, SitePolicySpec
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.policy.admission.admit import admit
from fedward_operator.policy.admission.approval import approval_digest
from fedward_operator.policy.admission.concurrency import may_run
from fedward_operator.policy.admission.gpu import placement_of
from fedward_operator.policy.admission.image import image_of
from fedward_operator.policy.admission.limits import amounts_of, quantity
from fedward_operator.policy.admission.schedule import closes_in
from fedward_operator.policy.admission.verdict import Grant, Refused, Waits
from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
"""A Wednesday."""

INSTALLED = "example.org/trainer:1"


def plan_for(**changes):
    fields = {
        "federation": "fed.example.org",
        "job": JobIdentity(name="brain", namespace="research", uid="0123456789"),
        "sites": ("north", "south"),
        "seed": 0,
        "model": Model(network=Network()),
        "data": Data(dataset="brats"),
        "rounds": Rounds(count=3, quorum=1, deadline_s=60, grace_s=1),
    }
    return Plan(**(fields | changes))


def asked(made=None, **changes):
    plan = made or plan_for()
    fields = {
        "job": {"namespace": "research", "name": "brain", "uid": "0123456789"},
        "site": "north",
        "federation": "fed.example.org",
        "attempt": 1,
        "aggregator": {"address": "hub:443", "serverName": "brain.research.fed.example.org"},
        "plan": plan.canonical().decode(),
        "planDigest": plan.digest().hex(),
        "dataset": "brats",
    }
    return SiteJobSpec.model_validate(fields | changes)


def policy(**changes):
    fields = {"datasets": [{"name": "brats", "volume": {"hostPath": {"path": "/d"}}}]}
    return SitePolicySpec.model_validate(fields | changes)


def verdict(spec, rules, approved=None, now=NOW):
    return admit(spec, rules, INSTALLED, approved, now)


def test_what_nothing_speaks_against_is_granted_with_the_installed_image():
    granted = verdict(asked(), policy())
    assert isinstance(granted, Grant)
    assert (granted.image, granted.gpus, granted.closes_s) == (INSTALLED, {}, None)


@pytest.mark.parametrize(
    ("spec", "rules", "reason"),
    [
        (asked(planDigest="0" * 64), policy(), "PlanMismatch"),
        (asked(plan_for(sites=("south",))), policy(), "PlanMismatch"),
        (asked(plan_for(data=Data(dataset="other"))), policy(), "PlanMismatch"),
        (asked(job={"namespace": "research", "name": "other", "uid": "0123456789"}), policy(), "PlanMismatch"),
        (asked(plan="{}"), policy(), "PlanInvalid"),
        (asked(), policy(datasets=[{"name": "x", "volume": {"hostPath": {"path": "/d"}}}]), "DatasetNotOffered"),
        (asked(image="example.org/mine:1"), policy(), "ImageNotAllowed"),
        (asked(resources={"gpu": {"count": 1}}), policy(), "GpuNotOffered"),
        (asked(resources={"gpu": {"count": 3}}), policy(gpus={"count": 2}), "TooManyGpus"),
        (asked(resources={"cpu": "8"}), policy(limits={"cpu": "4000m"}), "TooMuchCpu"),
        (asked(resources={"memory": "1Gi"}), policy(limits={"memory": "1G"}), "TooMuchMemory"),
    ],
)
def test_what_a_rule_speaks_against_is_refused_even_where_an_approval_is_missing(spec, rules, reason):
    refused = verdict(spec, rules.model_copy(update={"approval": "manual"}))
    assert isinstance(refused, Refused)
    assert refused.reason == reason


def test_without_a_policy_everything_waits():
    assert verdict(asked(), None).reason == "NoSitePolicy"


def test_an_approval_holds_for_what_was_approved_whatever_the_attempt():
    manual = policy(approval="manual")
    digest = approval_digest(asked())
    assert verdict(asked(), manual).reason == "ApprovalPending"
    assert isinstance(verdict(asked(attempt=7, suspend=True), manual, digest), Grant)
    assert verdict(asked(resources={"memory": "1Gi"}), manual, digest).reason == "ApprovalPending"


@pytest.mark.parametrize(
    "change",
    [
        {"image": "example.org/mine:1"},
        {"resources": {"memory": "1Gi"}},
        {"podTemplate": {"nodeSelector": {"a": "b"}}},
        {"planDigest": "0" * 64},
        {"dataset": "other"},
        {"site": "south"},
        {"backoffLimit": 9},
        {"job": {"namespace": "research", "name": "brain", "uid": "9876543210"}},
    ],
)
def test_whatever_would_run_otherwise_has_another_digest_to_approve(change):
    assert approval_digest(asked(**change)) != approval_digest(asked())


@pytest.mark.parametrize(
    ("image", "patterns", "runs"),
    [
        (None, (), True),
        (INSTALLED, (), True),
        ("example.org/a/b:1", ("example.org/a/b:*",), True),
        ("example.org/a/b:1", ("example.org/*",), False),
        ("example.org/a/b:1", ("example.org/*/*",), True),
        ("evil.org/example.org/a:1", ("example.org/*",), False),
        ("exampleXorg/a:1", ("example.org/*",), False),
        ("example.org/a@sha256:" + "1" * 64, ("example.org/a@sha256:" + "1" * 64,), True),
        ("example.org/a@sha256:" + "2" * 64, ("example.org/a@sha256:" + "1" * 64,), False),
    ],
)
def test_an_image_runs_if_a_pattern_fits_it_whole(image, patterns, runs):
    assert (image_of(image, INSTALLED, patterns) == (image or INSTALLED)) is runs


@given(st.text("ab*/", max_size=12), st.text("ab/", max_size=12))
def test_a_star_never_stands_for_a_slash(pattern, image):
    if image_of(image, "none", [pattern]) == image:
        assert image.count("/") == pattern.count("/")


def test_the_hospitals_words_on_gpus_win_over_the_jobs_wishes():
    rules = policy(
        gpus={
            "count": 2,
            "migProfile": "1g.10gb",
            "nodeSelector": {"pool": "research"},
            "tolerations": [{"key": "gpu", "operator": "Exists"}],
            "runtimeClassName": "nvidia",
        }
    )
    wishes = PodTemplate.model_validate(
        {"nodeSelector": {"pool": "clinic", "disk": "ssd"}, "tolerations": [{"key": "gpu", "operator": "Exists"}]}
    )
    placed = placement_of(Resources.model_validate({"gpu": {"count": 1}}), wishes, rules)
    assert placed.gpus == {"nvidia.com/mig-1g.10gb": 1}
    assert placed.node_selector == {"pool": "research", "disk": "ssd"}
    assert len(placed.tolerations) == 1
    assert placed.runtime_class_name == "nvidia"


@pytest.mark.parametrize(
    ("offer", "name"),
    [
        ({}, "nvidia.com/gpu"),
        ({"migProfile": "1g.10gb"}, "nvidia.com/mig-1g.10gb"),
        ({"migProfile": "1g.10gb+me"}, "nvidia.com/mig-1g.10gb.me"),
        ({"migProfile": "1g.24gb+me.all"}, "nvidia.com/mig-1g.24gb.me.all"),
        ({"resource": "nvidia.com/gpu.shared"}, "nvidia.com/gpu.shared"),
        ({"resource": "nvidia.com/gpu.shared", "migProfile": "2g.20gb"}, "nvidia.com/mig-2g.20gb.shared"),
        ({"resource": "nvidia.com/mig-1g.5gb.shared"}, "nvidia.com/mig-1g.5gb.shared"),
        ({"resource": "amd.com/gpu"}, "amd.com/gpu"),
        ({"resource": "amd.com/cpx_nps4"}, "amd.com/cpx_nps4"),
        ({"resource": "gpu.intel.com/i915"}, "gpu.intel.com/i915"),
        ({"resource": "gpu.intel.com/xe"}, "gpu.intel.com/xe"),
    ],
)
def test_accelerators_are_called_what_their_vendors_device_plugin_calls_them(offer, name):
    placed = placement_of(
        Resources.model_validate({"gpu": {"count": 1}}), PodTemplate(node_selector={}), policy(gpus=offer)
    )
    assert placed.gpus == {name: 1}


@pytest.mark.parametrize(
    ("offer", "says"),
    [
        ({"resource": "gpu"}, "resource"),
        ({"resource": "memory"}, "resource"),
        (
            {"resource": "amd.com/gpu", "migProfile": "1g.10gb"},
            "migProfile, which goes with the resource nvidia.com/gpu",
        ),
        ({"migProfile": "half"}, "migProfile"),
    ],
)
def test_what_no_device_plugin_offers_is_an_error_that_says_where(offer, says):
    with pytest.raises(ValueError, match=says):
        policy(gpus=offer)


def test_where_no_gpu_is_lent_a_job_may_be_trained_on_cpus():
    placed = placement_of(
        Resources.model_validate({"gpu": {"count": 1}}), PodTemplate(node_selector={}), policy(withoutGpu="train")
    )
    assert placed.gpus == {}


def test_who_asks_for_nothing_gets_what_is_allowed():
    assert amounts_of(Resources(), Limits(cpu="4", memory="8Gi")) == ("4", "8Gi")


@given(
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    *[st.sampled_from(["", "m", "k", "Ki", "M", "Mi", "G", "Gi", "T", "Ti"])] * 2,
)
def test_quantities_are_in_order(a, b, first, second):
    assert (quantity(f"{a}{first}") < quantity(f"{b}{first}")) == (a < b)
    assert (quantity(f"{a}{first}") < quantity(f"{a}{second}")) in (True, False)
    assert quantity(f"{a}Ki") == quantity(f"{a * 1024}")
    assert quantity(f"{a * 1000}m") == quantity(str(a))


def schedule(*windows, zone="UTC"):
    return Schedule.model_validate({"timeZone": zone, "windows": list(windows)})


@pytest.mark.parametrize(
    ("windows", "answer"),
    [
        ([{"begins": "11:00", "ends": "13:00"}], 3600.0),
        ([{"begins": "18:00", "ends": "06:00"}], "OutsideWindow"),
        ([{"begins": "22:00", "ends": "13:00"}], 3600.0),
        ([{"days": ["Tue"], "begins": "22:00", "ends": "13:00"}], 3600.0),
        ([{"days": ["Wed"], "begins": "22:00", "ends": "13:00"}], "OutsideWindow"),
        ([{"begins": "11:00", "ends": "13:00"}, {"begins": "13:00", "ends": "14:00"}], 7200.0),
        ([{"begins": "00:00", "ends": "00:00"}], None),
    ],
)
def test_windows_of_the_week(windows, answer):
    found = closes_in(schedule(*windows), NOW)
    assert (found.reason if isinstance(found, Waits) else found) == answer


def test_a_window_is_in_the_hospitals_own_time_also_when_clocks_change():
    night = schedule({"begins": "01:00", "ends": "04:00"}, zone="Europe/London")
    before_the_change = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)  # 01:00 becomes 02:00 in London
    assert closes_in(night, before_the_change) == 2 * 3600.0


def test_a_window_in_the_hour_that_is_left_out_waits_for_the_next_week():
    sunday = schedule({"days": ["Sun"], "begins": "02:00", "ends": "03:00"}, zone="America/New_York")
    before_the_change = datetime(2026, 3, 8, 6, 0, tzinfo=UTC)  # 02:00 becomes 03:00 in New York
    assert closes_in(sunday, before_the_change).seconds == timedelta(days=7).total_seconds()


TIMES = st.tuples(st.integers(0, 23), st.sampled_from([0, 15, 30, 45])).map(lambda t: f"{t[0]:02}:{t[1]:02}")
WINDOWS = st.lists(
    st.fixed_dictionaries(
        {"days": st.lists(st.sampled_from(["Mon", "Wed", "Sun"]), unique=True), "begins": TIMES, "ends": TIMES}
    ),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(WINDOWS, st.integers(0, 14 * 24 * 4))
def test_the_answer_turns_at_the_instant_that_was_named(windows, quarters):
    rules, now = schedule(*windows, zone="America/New_York"), NOW + timedelta(minutes=15 * quarters)
    found = closes_in(rules, now)
    if found is None:
        return
    seconds = found.seconds if isinstance(found, Waits) else found
    assert seconds > 0
    then = now + timedelta(seconds=seconds)
    assert isinstance(closes_in(rules, then), Waits) != isinstance(found, Waits)
    assert isinstance(closes_in(rules, then - timedelta(seconds=1)), Waits) == isinstance(found, Waits)


CANDIDATES = st.lists(st.booleans(), max_size=8).map(lambda runs: [(f"job-{n}", run) for n, run in enumerate(runs)])


@given(st.integers(1, 5), CANDIDATES)
def test_places_are_never_exceeded_and_whoever_runs_keeps_its_own(places, candidates):
    chosen = may_run(places, candidates)
    assert len(chosen) == min(places, len(candidates))
    running = [name for name, runs in candidates if runs]
    assert set(chosen) & set(running) == set(running[:places])
    waiting = [name for name, runs in candidates if not runs]
    given_in_turn = [name for name in chosen if name in waiting]
    assert given_in_turn == list(itertools.islice(waiting, len(given_in_turn)))
