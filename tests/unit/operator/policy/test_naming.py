"""Names that follow from a job's fit wherever they are used."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.policy import naming

DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)
LONG = st.one_of(NAMES, NAMES.map(lambda name: (name * 40)[:39] + "z"))
NAMESPACES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
ATTEMPTS = st.integers(0, 1_000_000)


def all_names(job, namespace, attempt):
    site_job = naming.site_job(job, namespace)
    return [
        naming.mailbox(job),
        naming.plan(job),
        naming.aggregator(job),
        naming.aggregator_tls(job),
        naming.aggregator_job(job, attempt),
        site_job,
        naming.trainer_job(site_job, attempt),
        naming.order(site_job),
        naming.state(site_job),
    ]


@given(LONG, NAMESPACES, ATTEMPTS)
def test_every_name_is_a_dns_label(name, namespace, attempt):
    for each in all_names(name, namespace, attempt):
        assert DNS_LABEL.fullmatch(each), each


@given(LONG, NAMESPACES, NAMESPACES)
def test_jobs_of_two_namespaces_never_meet_in_a_mailbox(name, namespace, other):
    assert (naming.site_job(name, namespace) == naming.site_job(name, other)) == (namespace == other)


@given(st.tuples(NAMES, NAMESPACES), st.tuples(NAMES, NAMESPACES))
def test_two_jobs_have_two_site_jobs(one, other):
    assert (naming.site_job(*one) == naming.site_job(*other)) == (one == other)


@given(st.tuples(NAMES, ATTEMPTS), st.tuples(NAMES, ATTEMPTS))
def test_no_attempt_of_a_job_is_taken_for_one_of_another(one, other):
    assert (naming.aggregator_job(*one) == naming.aggregator_job(*other)) == (one == other)
    assert (naming.trainer_job(*one) == naming.trainer_job(*other)) == (one == other)


def test_names_stay_what_they_are_for_those_who_look_for_them():
    assert all_names("glioma", "research", 3) == [
        "fedward-site-glioma",
        "glioma-plan",
        "glioma-aggregator",
        "glioma-aggregator-tls",
        "glioma-aggregator-3",
        "glioma-2795c132",
        "glioma-2795c132-3",
        "glioma-2795c132-order",
        "glioma-2795c132-state",
    ]
