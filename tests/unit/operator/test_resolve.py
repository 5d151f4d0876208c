"""How a job and the sites there are become a plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.api import FederatedJob, FederatedSite
from fedward_operator.hub.findings import UnresolvableError
from fedward_operator.hub.resolve import resolve
from fedward_protocol.plan import Bundle, Plan

UID = "5f6e7d8c-0000-4000-8000-000000000000"


def job(sites: dict[str, Any], rounds: dict[str, Any] | None = None, **spec: Any) -> FederatedJob:
    document = {
        "apiVersion": "fedward.io/v1alpha1",
        "kind": "FederatedJob",
        "metadata": {"name": "glioma", "namespace": "research", "uid": UID},
        "spec": {
            "model": {"network": {"name": "SegResNet"}},
            "data": {"dataset": "brats"},
            "sites": sites,
            "rounds": {"count": 3, **(rounds or {})},
            **spec,
        },
    }
    return FederatedJob.model_validate(document)


def site(name: str, **labels: str) -> FederatedSite:
    return FederatedSite.model_validate(
        {
            "apiVersion": "fedward.io/v1alpha1",
            "kind": "FederatedSite",
            "metadata": {"name": name, "labels": labels},
        }
    )


def plan_of(wanted: FederatedJob, sites: Sequence[FederatedSite]) -> Plan:
    return resolve(wanted, sites, None, "fedward.localhost")


def complaints(wanted: FederatedJob, sites: Sequence[FederatedSite], bundle: Bundle | None = None) -> list[str]:
    with pytest.raises(UnresolvableError) as error:
        resolve(wanted, sites, bundle, "fedward.localhost")
    return [str(finding) for finding in error.value.findings]


def test_sites_are_sorted_and_durations_become_seconds() -> None:
    rounds = {"quorum": "50%", "deadline": "30m", "grace": "90s"}

    plan = plan_of(job({"names": ["south", "east", "north"]}, rounds), [site("north"), site("south"), site("east")])

    assert plan.sites == ("east", "north", "south")
    assert (plan.rounds.quorum, plan.rounds.deadline_s, plan.rounds.grace_s) == (2, 1800, 90)
    assert plan.job.uid == UID


def test_a_selector_takes_the_sites_that_bear_all_of_its_labels() -> None:
    sites = [site("a", size="small", country="at"), site("b", size="small"), site("c", size="large", country="at")]

    plan = plan_of(job({"selector": {"matchLabels": {"size": "small", "country": "at"}}}), sites)

    assert plan.sites == ("a",)


def test_the_plan_says_the_same_whatever_the_order_of_sites() -> None:
    one = plan_of(job({"names": ["a", "b"]}), [site("a"), site("b")])
    other = plan_of(job({"names": ["b", "a"]}), [site("b"), site("a"), site("c")])

    assert one.digest() == other.digest()


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (job({"names": ["north", "soth"]}), 'spec.sites.names[1]: no FederatedSite is called "soth"'),
        (job({"selector": {"matchLabels": {"size": "huge"}}}), "spec.sites.selector: selects no FederatedSite"),
        (
            job({"names": ["north", "south"]}, {"minSites": 3}),
            "spec.rounds.minSites: asks for 3 sites, and there are 2",
        ),
        (job({"names": ["north", "south"]}, {"quorum": 3}), "spec.rounds.quorum: asks for 3 sites, and there are 2"),
        (
            job({"names": ["north", "south"]}, aggregation={"algorithm": "Krum"}),
            "spec.aggregation: Krum as configured needs 5 updates a round, and the quorum is 2",
        ),
        (
            job({"names": ["north", "south"]}, aggregation={"algorithm": "TrimmedMean", "trim": 0.3}),
            "spec.aggregation: TrimmedMean as configured needs 4 updates a round, and the quorum is 2",
        ),
        (
            job({"names": ["north"]}, model={"bundle": {"configMap": "x"}}),
            "spec.model.bundle: the bundle's files were not found",
        ),
    ],
)
def test_what_cannot_be_had_is_named_by_its_field(wanted: FederatedJob, expected: str) -> None:
    found = complaints(wanted, [site("north"), site("south")])

    assert [each.removesuffix(', did you mean "south"?') for each in found] == [expected]


def test_a_misspelt_site_is_suggested_right() -> None:
    assert complaints(job({"names": ["soth"]}), [site("south")])[0].endswith(', did you mean "south"?')


names = st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=20, unique=True)


@given(names, st.one_of(st.integers(1, 30), st.integers(1, 100).map(lambda share: f"{share}%")), st.integers(1, 25))
def test_a_resolved_quorum_can_be_reached_and_is_never_below_what_was_asked(
    chosen: list[str], quorum: int | str, min_sites: int
) -> None:
    try:
        plan = plan_of(job({"names": chosen}, {"quorum": quorum, "minSites": min_sites}), [site(n) for n in chosen])
    except UnresolvableError:
        assert min_sites > len(chosen) or (isinstance(quorum, int) and quorum > len(chosen))
        return

    assert min_sites <= plan.rounds.quorum <= len(plan.sites)
    if isinstance(quorum, int):
        assert plan.rounds.quorum >= quorum
    else:
        assert plan.rounds.quorum * 100 >= int(quorum[:-1]) * len(plan.sites)
    assert list(plan.sites) == sorted(chosen)


@given(names)
def test_a_plan_survives_its_canonical_form(chosen: list[str]) -> None:
    plan = plan_of(job({"names": chosen}), [site(name) for name in chosen])

    assert Plan.parse(plan.canonical()) == plan
