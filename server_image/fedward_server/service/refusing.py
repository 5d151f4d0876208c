"""Who may call, and how a refusal is counted and logged before it goes out."""

from __future__ import annotations

import logging
from typing import Any

import grpc

from fedward_protocol.identity import Identity
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tls import peer_identity
from fedward_server.admission import check_belongs, check_peer
from fedward_server.job import Job

Context = grpc.aio.ServicerContext[Any, Any]

log = logging.getLogger(__name__)


def note(job: Job, error: RefusedError, site: str, call: str) -> None:
    """Count and log a refusal; `site` is who it was said to, where that is known."""
    job.metrics.refused(site, error.reason)
    if site in job.plan.sites:
        job.attendance.of(site).refusals += 1
    about = {"call": call, "site": site[:63], "round": job.state.round}
    log.warning("refused", extra={**about, "reason": error.reason.value, "detail": error.detail})


def check_site(job: Job, context: Context, site: str) -> Identity:
    """Give the caller's identity, which must be that of `site`, a site of the plan.

    Raises:
        RefusedError: CERTIFICATE_MISSING, IDENTITY_MISMATCH, SITE_NOT_IN_PLAN, SITE_REVOKED.
    """
    peer = peer_identity(context)
    check_peer(peer, site, job.plan)
    check_belongs(site, job.state)
    return peer


def check_hub(job: Job, context: Context) -> Identity:
    """Give the caller's identity, which must be the hub's.

    Raises:
        RefusedError: CERTIFICATE_MISSING, IDENTITY_MISMATCH.
    """
    peer, hub = peer_identity(context), Identity(job.plan.federation, "hub")
    if peer != hub:
        raise RefusedError(Reason.IDENTITY_MISMATCH, f"{peer.uri} is not {hub.uri}")
    return peer


def is_hub(job: Job, context: Context) -> bool:
    """Tell whether the caller has the hub's identity."""
    try:
        check_hub(job, context)
    except RefusedError:
        return False
    return True


def check_observer(job: Job, context: Context) -> Identity:
    """Give the caller's identity, which must be the hub's or that of this job's observer.

    Raises:
        RefusedError: CERTIFICATE_MISSING, IDENTITY_MISMATCH.
    """
    peer, federation = peer_identity(context), job.plan.federation
    allowed = Identity(federation, "hub"), Identity(federation, "observer", job.plan.job.uid)
    if peer not in allowed:
        raise RefusedError(Reason.IDENTITY_MISMATCH, f"{peer.uri} is not {' or '.join(each.uri for each in allowed)}")
    return peer


def check_site_or_hub(job: Job, context: Context) -> Identity:
    """Give the caller's identity, which must be the hub's or that of a site of the plan.

    Raises:
        RefusedError: CERTIFICATE_MISSING, IDENTITY_MISMATCH, SITE_NOT_IN_PLAN.
    """
    peer = peer_identity(context)
    if peer != Identity(job.plan.federation, "hub"):
        check_peer(peer, peer.name, job.plan)
    return peer
