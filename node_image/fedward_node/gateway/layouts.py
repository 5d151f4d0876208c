"""The layouts of the jobs' models, which an update must fit: learnt from the first bytes of the model itself."""

from __future__ import annotations

import struct

from fedward_node.gateway.upstream import Upstream
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.chunks import chunk_data
from fedward_protocol.tensors.layout import MAX_HEADER, Layout
from fedward_protocol.wire import federation_pb2 as pb

_LENGTH_NBYTES = 8
_KEPT = 64
"""Layouts kept at most: one for each job that is likely to run at once, and more."""


class Layouts:
    """Asks the aggregator once for each attempt of a job: all its models have the same layout."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], Layout] = {}

    async def of(self, job: pb.JobRef, model_digest: bytes, upstream: Upstream) -> Layout:
        """Return the layout of the job's models.

        Raises:
            RefusedError: MALFORMED, the aggregator's model is no safetensors file.
            grpc.aio.AioRpcError: the aggregator has no such model, or cannot be reached.
        """
        key = (job.uid, job.attempt)
        if key not in self._known:
            layout = await _fetch(pb.FetchModelRequest(job=job, digest=model_digest), upstream)
            while len(self._known) >= _KEPT:
                self._known.pop(next(iter(self._known)))
            self._known[key] = layout
        return self._known[key]


async def _fetch(request: pb.FetchModelRequest, upstream: Upstream) -> Layout:
    """Fetch as much of a model as holds its header."""
    call = upstream.stub.FetchModel(request)
    prefix = b""
    try:
        async for chunk in call:
            prefix += chunk_data(chunk)
            if len(prefix) >= _LENGTH_NBYTES:
                (length,) = struct.unpack_from("<Q", prefix)
                if length > MAX_HEADER or len(prefix) >= _LENGTH_NBYTES + length:
                    return Layout.parse(prefix)
    finally:
        call.cancel()
    raise RefusedError(Reason.MALFORMED, "the model ended within its header")
