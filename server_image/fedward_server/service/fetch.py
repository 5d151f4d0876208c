"""FetchModel: sends a global model from the file that holds it, by digest and offset."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.refusals import abort
from fedward_protocol.tensors.chunks import Compression, read_chunks
from fedward_protocol.tensors.frames import chunk_message
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server.admission import check_job
from fedward_server.events import Model
from fedward_server.job import Job
from fedward_server.service.refusing import Context, check_site_or_hub, note


async def fetch(
    job: Job, places: asyncio.Semaphore, request: pb.FetchModelRequest, context: Context
) -> AsyncGenerator[bytes]:
    """Serve one model's stream, of serialised chunks."""
    name = ""
    try:
        name = check_site_or_hub(job, context).name
        check_job(request.job, job.state)
        model = _find(job, request)
        # Opened before the first chunk: a model that is deleted meanwhile is still sent to its end.
        fd = os.open(job.models.path(model.round), os.O_RDONLY | os.O_CLOEXEC)
    except RefusedError as error:
        note(job, error, name, "FetchModel")
        await abort(context, error)
    visits = job.attendance.of(name) if name in job.plan.sites else None
    compression: Compression = "zstd" if _wants_zstd(job, request) else "none"
    try:
        async with places:
            for chunk in read_chunks(fd, request.offset, compression):
                yield chunk_message(*chunk)
                if visits is not None:
                    visits.bytes_down += len(chunk.data)
                    job.attendance.hear(name, job.clock.now())
    finally:
        os.close(fd)


def _find(job: Job, request: pb.FetchModelRequest) -> Model:
    for model in job.state.kept_models:
        if model.digest == request.digest:
            if request.offset > model.nbytes:
                raise RefusedError(Reason.WRONG_OFFSET, f"{request.offset} of {model.nbytes} bytes")
            return model
    raise RefusedError(Reason.MODEL_UNKNOWN, request.digest.hex()[:64])


def _wants_zstd(job: Job, request: pb.FetchModelRequest) -> bool:
    return job.plan.transport.compression == "zstd" and "zstd" in request.accept_compression
