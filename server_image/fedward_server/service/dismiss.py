"""Dismiss: takes from the hub which sites of the job the federation has revoked, and answers once that is durable."""

from __future__ import annotations

from functools import partial

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.refusals import abort
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import events
from fedward_server.job import Job
from fedward_server.rounds.state import JobState
from fedward_server.service.refusing import Context, check_hub, note


async def dismiss(job: Job, request: pb.DismissRequest, context: Context) -> pb.DismissReply:
    """Serve one call: all of the sites, or none where one of them is not the job's."""
    try:
        check_hub(job, context)
        if request.job.uid != job.plan.job.uid:
            raise RefusedError(Reason.JOB_UNKNOWN, request.job.uid[:64])
        strangers = [site for site in request.sites if site not in job.plan.sites]
        if strangers:
            raise RefusedError(Reason.SITE_NOT_IN_PLAN, strangers[0][:63])
        for site in request.sites:
            await job.record(partial(_dismissed, site))
    except RefusedError as error:
        note(job, error, "", "Dismiss")
        await abort(context, error)
    return pb.DismissReply()


def _dismissed(site: str, state: JobState, now: float) -> events.SiteDismissed | None:
    """Say what a dismissal changes: nothing the second time. After the job's end too, as an attempt may follow."""
    return None if state.sites[site].is_dismissed else events.SiteDismissed(at=now, site=site)
