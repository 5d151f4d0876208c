"""What derived objects are called: every name follows from the job's, and fits 63 characters because that fits 40."""

from __future__ import annotations

import hashlib

LABEL_JOB = "fedward.io/job"
LABEL_NAMESPACE = "fedward.io/job-namespace"
LABEL_UID = "fedward.io/job-uid"
LABEL_ATTEMPT = "fedward.io/attempt"
LABEL_COMPONENT = "fedward.io/component"
LABEL_SITE_JOB = "fedward.io/site-job"
LABEL_SIDE = "fedward.io/side"
"""On SiteJobs: `hub` in a mailbox, `site` at the hospital. In a cluster of both nobody takes one for the other."""

FINALIZER = "fedward.io/site-jobs"
HUB_UID = "fedward.io/hub-uid"
HUB_GENERATION = "fedward.io/hub-generation"
APPROVED = "fedward.io/approved-digest"
ORDER = "fedward.io/order"
OFFER = "fedward.io/offer"
INSPECT = "fedward.io/inspect"
"""On a SitePolicy: whenever its value changes, every dataset is inspected anew."""

LABEL_DATASET = "fedward.io/dataset"
LABEL_BASIS = "fedward.io/basis"
HEARTBEAT = "fedward-site"
"""The Lease that a site renews in its mailbox."""

RENEW_AFTER = "fedward.io/renew-after"
AUTHORITY = "fedward.io/authority"
"""Whom to believe, as a mark: on an aggregator's certificate, and where the hub writes it on a site's heartbeat."""

SCRAPERS = "fedward.io/scrapers"
"""On a certificate's Secret: whom its holder shows its metrics to, as a mark."""

BELIEVED = "fedward.io/believed"
"""Whom a site does believe, as a mark: where it answers that."""


def mailbox(site: str) -> str:
    """Name the hub's namespace in which a site finds what it is asked."""
    return f"fedward-site-{site}"


def plan(job: str) -> str:
    """Name the ConfigMap of a job's plan."""
    return f"{job}-plan"


def aggregator(job: str) -> str:
    """Name what stays the same over a job's attempts: its aggregator's Service and claim."""
    return f"{job}-aggregator"


def aggregator_tls(job: str) -> str:
    """Name the Secret of an aggregator's certificate."""
    return f"{job}-aggregator-tls"


def aggregator_job(job: str, attempt: int) -> str:
    """Name the aggregator's Job of one attempt."""
    return f"{job}-aggregator-{attempt}"


def tracker(job: str) -> str:
    """Name the fence of a job's trackers."""
    return f"{job}-tracker"


def tracker_tls(job: str) -> str:
    """Name the Secret of a tracker's certificate."""
    return f"{job}-tracker-tls"


def follower_job(job: str, attempt: int) -> str:
    """Name the Job that logs one attempt as it goes."""
    return f"{job}-tracker-{attempt}"


def finisher_job(job: str) -> str:
    """Name the Job that logs what a job has left once it has ended."""
    return f"{job}-tracker-end"


def site_job(job: str, namespace: str) -> str:
    """Name a job's SiteJobs: in a mailbox, jobs of all the hub's namespaces meet."""
    digest = hashlib.sha256(f"{namespace}/{job}".encode()).hexdigest()[:8]
    return f"{job}-{digest}"


def trainer_job(site_job: str, attempt: int) -> str:
    """Name the trainer's Job of one attempt."""
    return f"{site_job}-{attempt}"


def order(site_job: str) -> str:
    """Name the Secret of a trainer's plan and work order."""
    return f"{site_job}-order"


def preflight_job(dataset: str, basis: str) -> str:
    """Name the Job that inspects a dataset."""
    return f"preflight-{dataset[:40].rstrip('-')}-{basis[:8]}"


def state(site_job: str) -> str:
    """Name the claim on which a trainer keeps what it resumes from."""
    return f"{site_job}-state"
