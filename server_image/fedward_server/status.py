"""The job's state as the hub sees it: read off the state and the attendance, never kept on its own."""

from __future__ import annotations

from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.attendance import Attendance
from fedward_server.messages import metrics_map, model_ref
from fedward_server.rounds.deciding import quorum_reached
from fedward_server.rounds.state import JobState, Phase

SITE_STATES = ("Absent", "Attending", "Training", "Submitted", "Lost", "Failed")
"""The words of SiteStatus.state."""


def job_status(state: JobState, attendance: Attendance, now: float) -> pb.JobStatus:
    """Describe the job at Unix time `now`, in seconds."""
    status = pb.JobStatus(
        state=state.phase.value,
        round=state.round,
        rounds=state.plan.rounds.count,
        attempt=state.attempt,
        arrived=len(state.arrivals),
        quorum=state.plan.rounds.quorum,
        quorum_met=quorum_reached(state),
        sites=[_site_status(state, attendance, name) for name in state.plan.sites],
        updated_at=now,
        round_opened_at=state.opened_at if state.round else 0.0,
    )
    if state.latest is not None:
        status.latest.CopyFrom(model_ref(state.latest))
    if state.best is not None:
        status.best.CopyFrom(model_ref(state.best))
    if state.failure is not None:
        status.failure.CopyFrom(pb.Refusal(reason=state.failure.reason.value, message=state.failure.message))
    return status


def site_state(state: JobState, attendance: Attendance, name: str) -> str:
    """Say how a site is, in a word of SiteStatus.state."""
    if state.sites[name].reason_gone is not None:
        return "Failed"
    if attendance.of(name).away_since is not None:
        return "Lost" if state.sites[name].cases is not None else "Absent"
    if name in state.arrivals and not state.is_over:
        return "Submitted"
    return "Training" if state.phase is Phase.TRAINING else "Attending"


def _site_status(state: JobState, attendance: Attendance, name: str) -> pb.SiteStatus:
    site, visits = state.sites[name], attendance.of(name)
    status = pb.SiteStatus(
        name=name,
        state=site_state(state, attendance, name),
        round=visits.progress.round if visits.progress is not None else state.round,
        reason=site.reason_gone or "",
        last_seen=visits.seen_at,
        metrics=metrics_map(site.metrics),
        bytes_up=visits.bytes_up,
        bytes_down=visits.bytes_down,
        refusals=visits.refusals,
    )
    if site.cases is not None:
        status.training_cases = site.cases.training
        status.validation_cases = site.cases.validation
        status.skipped_cases = site.cases.skipped
    if visits.progress is not None:
        status.progress.CopyFrom(visits.progress)
    return status
