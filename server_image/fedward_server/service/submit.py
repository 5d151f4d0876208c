"""SubmitUpdate: takes an update in, chunk by chunk; its receipt comes once it is checked, durable and written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import replace

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.refusals import abort, to_message
from fedward_protocol.tensors.chunks import chunk_data
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.update import UpdateFile, largest_update_nbytes
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import events
from fedward_server.admission import Submission, check_header, check_job, check_open, is_acknowledged
from fedward_server.job import Job
from fedward_server.messages import read_release, read_report
from fedward_server.service.refusing import Context, check_site, note
from fedward_server.spool import Slot, Upload

CHUNK_WAIT_S = 30.0
"""How long a stream may be silent between two chunks before it gives its place to another."""

_MODELS_MADE = 2
"""Files as large as the model that a round's end writes: the next model, and the rule's velocity."""


async def submit(
    job: Job, places: asyncio.Semaphore, parts: AsyncIterator[pb.UpdatePart], context: Context
) -> AsyncGenerator[pb.UpdateReply]:
    """Serve one update's stream."""
    started = job.clock.now()
    header = (await anext(parts, pb.UpdatePart())).header
    try:
        peer = check_site(job, context, header.site)
    except RefusedError as error:
        note(job, error, header.site, "SubmitUpdate")
        await abort(context, error)
    receipt = pb.UpdateReply(
        receipt=pb.Receipt(job=header.job, site=header.site, round=header.round, digest=header.digest)
    )
    try:
        check_job(header.job, job.state)
        if is_acknowledged(header, job.state):
            yield receipt
            return
        submission = Submission(header, peer, job.state, largest_update_nbytes(job.layout))
        check_header(submission)
        async with places:
            upload = await asyncio.to_thread(_open, job, header)
            yield pb.UpdateReply(resume_from=upload.offset)
            if not await _receive(job, submission, upload, parts):
                return
            await asyncio.to_thread(_check, upload, job.layout)
        try:
            await job.record(lambda state, now: _arrived(replace(submission, state=state), now, now - started))
        except RefusedError:
            upload.reopen()
            raise
        upload.close()
        yield receipt
    except RefusedError as error:
        note(job, error, header.site, "SubmitUpdate")
        yield pb.UpdateReply(refusal=to_message(error))


def _open(job: Job, header: pb.UpdateHeader) -> Upload:
    slot = Slot(header.job.attempt, header.round, header.site)
    return job.spool.receive(slot, header.digest, header.nbytes, reserve=_MODELS_MADE * job.layout.nbytes)


async def _receive(job: Job, submission: Submission, upload: Upload, parts: AsyncIterator[pb.UpdatePart]) -> bool:
    """Write chunks until the update is complete; False when the stream ends before, which the site resumes.

    Raises:
        RefusedError: a chunk cannot be taken, or the round has closed meanwhile.
    """
    header = submission.header
    visits = job.attendance.of(header.site)
    while upload.offset < header.nbytes:
        try:
            async with asyncio.timeout(CHUNK_WAIT_S):
                part = await anext(parts, None)
        except TimeoutError:
            return False
        if part is None:
            return False
        check_open(replace(submission, state=job.state))
        data = chunk_data(part.chunk)
        if not data:
            raise RefusedError(Reason.MALFORMED, "a part without bytes")
        # A thread, because hash and disk take milliseconds a chunk, which the other streams would wait for.
        await asyncio.to_thread(upload.write, part.chunk.offset, data)
        visits.bytes_up += len(data)
        job.attendance.hear(header.site, job.clock.now())
    return True


def _check(upload: Upload, model: Layout) -> None:
    """Make the update durable and look into it; what is refused for its contents is deleted."""
    upload.finish()
    try:
        with UpdateFile.open(upload.path, model) as update:
            update.check_finite()
    except RefusedError:
        upload.discard()
        raise
    except OSError as error:
        raise RefusedError(Reason.STORAGE_FULL, f"the update cannot be read back: {error.strerror}") from error


def _arrived(submission: Submission, now: float, submit_seconds: float) -> events.UpdateArrived | None:
    header = submission.header
    # Meanwhile the very same may have come in by another stream; or a second update, or the round have closed.
    if is_acknowledged(header, submission.state):
        return None
    check_open(submission)
    return events.UpdateArrived(
        at=now,
        site=header.site,
        attempt=header.job.attempt,
        round=header.round,
        digest=header.digest,
        nbytes=header.nbytes,
        samples=header.samples,
        report=read_report(header.report),
        release=read_release(header),
        submit_seconds=submit_seconds,
    )
