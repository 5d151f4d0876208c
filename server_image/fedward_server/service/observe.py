"""Observe: tells the hub the job's history so far, then its status whenever that changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.refusals import abort
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.history import Historian, round_of
from fedward_server.job import Job
from fedward_server.service.refusing import Context, check_observer, note
from fedward_server.status import job_status

PROGRESS_S = 0.5
"""How often a site's progress within a stage is shown; it rings no bell, so that many sites cost nothing."""


async def observe(job: Job, request: pb.ObserveRequest, context: Context) -> AsyncGenerator[pb.Observation]:
    """Serve one observer until it leaves; after the job's end the status stands and nothing more is sent."""
    try:
        check_observer(job, context)
        if request.job.uid != job.plan.job.uid:
            raise RefusedError(Reason.JOB_UNKNOWN, request.job.uid[:64])
    except RefusedError as error:
        note(job, error, "", "Observe")
        await abort(context, error)
    historian, read, told = Historian(), 0, b""
    with job.bell.listen() as changed:
        while True:
            changed.clear()
            read, happened = await job.journal.read(read)
            for event in happened:
                for entry in historian.tell(event):
                    if round_of(entry) >= request.from_round:
                        yield entry
            status = job_status(job.state, job.attendance, 0.0)
            if (known := status.SerializeToString(deterministic=True)) != told:
                told = known
                status.updated_at = job.clock.now()
                yield pb.Observation(status=status)
            alarm = job.clock.call_at(job.clock.now() + PROGRESS_S, changed.set)
            try:
                await changed.wait()
            finally:
                alarm.cancel()
