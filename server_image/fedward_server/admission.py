"""What an update must be before a byte of it is taken: one list of checks, each with the reason it refuses for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from fedward_protocol.identity import Identity
from fedward_protocol.metric_names import MOST_METRICS, is_metric_name
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.rounds.state import JobState, Phase

MOST_FILTERS = 64
_DIGEST_NBYTES = 32


@dataclass(frozen=True, slots=True)
class Submission:
    """An update that is announced, and what it is judged by."""

    header: pb.UpdateHeader
    peer: Identity
    state: JobState
    largest: int
    """Bytes that an update of this model can have at most, in any encoding."""


def check_peer(peer: Identity, site: str, plan: Plan) -> None:
    """Check that the caller's certificate is that of a site of the plan, and of the site that it claims to be.

    Raises:
        RefusedError: IDENTITY_MISMATCH, SITE_NOT_IN_PLAN.
    """
    if peer != Identity(plan.federation, "site", peer.name) or peer.name != site:
        raise RefusedError(Reason.IDENTITY_MISMATCH, f"{peer.uri} speaks for site {site[:63]!r} of {plan.federation}")
    if site not in plan.sites:
        raise RefusedError(Reason.SITE_NOT_IN_PLAN, site)


def check_belongs(site: str, state: JobState) -> None:
    """Check that a site of the plan has not been dismissed.

    Raises:
        RefusedError: SITE_REVOKED.
    """
    if site in state.dismissed_sites:
        raise RefusedError(Reason.SITE_REVOKED)


def check_job(job: pb.JobRef, state: JobState) -> None:
    """Check that a message belongs to this job and to its current attempt.

    Raises:
        RefusedError: JOB_UNKNOWN, OLD_ATTEMPT.
    """
    if job.uid != state.plan.job.uid or job.attempt > state.attempt:
        raise RefusedError(Reason.JOB_UNKNOWN, f"attempt {job.attempt} of {job.uid[:64]!r}")
    if job.attempt < state.attempt:
        raise RefusedError(Reason.OLD_ATTEMPT, f"it is of attempt {job.attempt}, the job is at {state.attempt}")


def check_metrics(metrics: Mapping[str, pb.MeanMetric]) -> None:
    """Check that metrics can be stored and averaged.

    Raises:
        RefusedError: BAD_METRICS.
    """
    if len(metrics) > MOST_METRICS:
        raise RefusedError(Reason.BAD_METRICS, f"{len(metrics)} of them, {MOST_METRICS} at most")
    for name, mean in metrics.items():
        if not is_metric_name(name):
            raise RefusedError(Reason.BAD_METRICS, f"{name[:64]!r} is no name for one")
        if not math.isfinite(mean.sum) or (mean.count == 0 and mean.sum != 0):
            raise RefusedError(Reason.BAD_METRICS, f"{name} is {mean.sum:g} over {mean.count} cases")


def check_header(submission: Submission) -> None:
    """Check all that can be known before the first chunk, in an order in which the first failure says the most.

    Raises:
        RefusedError: with the reason of the first check that fails.
    """
    for check in _CHECKS:
        check(submission)


def check_open(submission: Submission) -> None:
    """Check that the site belongs, and attempt and round are open; each of these may end while chunks come in.

    Raises:
        RefusedError: SITE_REVOKED, JOB_UNKNOWN, OLD_ATTEMPT, WRONG_ROUND, ROUND_CLOSED, ALREADY_SUBMITTED.
    """
    check_belongs(submission.header.site, submission.state)
    check_job(submission.header.job, submission.state)
    _check_round(submission)
    _check_first(submission)


def is_acknowledged(header: pb.UpdateHeader, state: JobState) -> bool:
    """Say whether this very update has been acknowledged, so that the receipt is only to be given again."""
    site = state.sites.get(header.site)
    return site is not None and site.receipt == (header.job.attempt, header.round, header.digest)


def _check_peer(submission: Submission) -> None:
    check_peer(submission.peer, submission.header.site, submission.state.plan)


def _check_job(submission: Submission) -> None:
    check_job(submission.header.job, submission.state)


def _check_form(submission: Submission) -> None:
    header = submission.header
    if len(header.digest) != _DIGEST_NBYTES or len(header.model_digest) != _DIGEST_NBYTES or header.nbytes == 0:
        raise RefusedError(Reason.MALFORMED, "a header has two digests of 32 bytes, and a length")
    filters = header.release.filters
    if len(filters) > MOST_FILTERS or any(len(name) > 64 for name in filters):
        raise RefusedError(Reason.MALFORMED, "the release names too many filters, or too long ones")


def _check_round(submission: Submission) -> None:
    number, state = submission.header.round, submission.state
    if number == 0 or number > state.round:
        raise RefusedError(Reason.WRONG_ROUND, f"it is for round {number}, the job is at {state.round}")
    if number < state.round or state.phase is not Phase.TRAINING:
        raise RefusedError(Reason.ROUND_CLOSED, f"round {number}")


def _check_first(submission: Submission) -> None:
    if submission.header.site in submission.state.arrivals:
        raise RefusedError(Reason.ALREADY_SUBMITTED, f"round {submission.header.round}")


def _check_model(submission: Submission) -> None:
    latest = submission.state.latest
    if latest is None or submission.header.model_digest != latest.digest:
        raise RefusedError(Reason.WRONG_MODEL)


def _check_size(submission: Submission) -> None:
    if submission.header.nbytes > submission.largest:
        raise RefusedError(Reason.TOO_LARGE, f"{submission.header.nbytes} bytes, {submission.largest} at most")


def _check_samples(submission: Submission) -> None:
    cases = submission.state.sites[submission.header.site].cases
    announced = cases.training if cases is not None else 0
    if not 0 < submission.header.samples <= announced:
        raise RefusedError(Reason.BAD_SAMPLE_COUNT, f"{submission.header.samples}, of {announced} announced")


def _check_metrics(submission: Submission) -> None:
    check_metrics(submission.header.report.metrics)


_CHECKS = (
    _check_peer,
    _check_job,
    _check_form,
    _check_round,
    _check_first,
    _check_model,
    _check_size,
    _check_samples,
    _check_metrics,
)
