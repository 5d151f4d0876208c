"""How a refusal crosses the wire: as a message, or as a gRPC status with its code in the trailing metadata."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, NoReturn

import grpc

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb

REASON_KEY = "fedward-reason"
"""The trailing metadata that holds the reason's code."""

_LONGEST_DETAIL = 500

_STATUS = MappingProxyType(
    {
        Reason.CERTIFICATE_MISSING: grpc.StatusCode.UNAUTHENTICATED,
        Reason.WORK_ORDER_MISSING: grpc.StatusCode.UNAUTHENTICATED,
        Reason.WORK_ORDER_MALFORMED: grpc.StatusCode.UNAUTHENTICATED,
        Reason.WORK_ORDER_FORGED: grpc.StatusCode.UNAUTHENTICATED,
        Reason.WORK_ORDER_EXPIRED: grpc.StatusCode.UNAUTHENTICATED,
        Reason.IDENTITY_MISMATCH: grpc.StatusCode.PERMISSION_DENIED,
        Reason.SITE_NOT_IN_PLAN: grpc.StatusCode.PERMISSION_DENIED,
        Reason.SITE_REVOKED: grpc.StatusCode.PERMISSION_DENIED,
        Reason.WORK_ORDER_MISMATCH: grpc.StatusCode.PERMISSION_DENIED,
        Reason.PLAN_MISMATCH: grpc.StatusCode.PERMISSION_DENIED,
        Reason.JOB_UNKNOWN: grpc.StatusCode.NOT_FOUND,
        Reason.MODEL_UNKNOWN: grpc.StatusCode.NOT_FOUND,
        Reason.STORAGE_FULL: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Reason.BUDGET_SPENT: grpc.StatusCode.RESOURCE_EXHAUSTED,
        Reason.HUB_UNREACHABLE: grpc.StatusCode.UNAVAILABLE,
    }
)


def to_message(error: RefusedError) -> pb.Refusal:
    """Return the wire's message; its text is the particulars alone, as the code already stands for its sentence."""
    return pb.Refusal(reason=error.reason.value, message=error.detail[:_LONGEST_DETAIL])


def from_message(message: pb.Refusal) -> RefusedError:
    """Return the error that the other end meant; a code that this version does not know becomes MALFORMED, named."""
    return _from_code(message.reason, message.message)


def status_of(reason: Reason) -> grpc.StatusCode:
    """Return the gRPC status that goes with a reason."""
    return _STATUS.get(reason, grpc.StatusCode.FAILED_PRECONDITION)


async def abort(context: grpc.aio.ServicerContext[Any, Any], error: RefusedError) -> NoReturn:
    """End a call with a refusal's status, particulars and code; this raises, as gRPC's own abort does."""
    trailing = ((REASON_KEY, error.reason.value),)
    await context.abort(status_of(error.reason), error.detail[:_LONGEST_DETAIL], trailing)
    raise AssertionError("abort always raises")


def from_rpc_error(error: grpc.aio.AioRpcError) -> RefusedError | None:
    """Return the refusal that ended a call, or None when the call failed in another way (connection, deadline)."""
    for key, value in error.trailing_metadata() or ():
        if key == REASON_KEY:
            code = value if isinstance(value, str) else value.decode("ascii", "replace")
            return _from_code(code, error.details() or "")
    return None


def _from_code(code: str, detail: str) -> RefusedError:
    detail = detail[:_LONGEST_DETAIL]
    try:
        return RefusedError(Reason(code), detail)
    except ValueError:
        return RefusedError(Reason.MALFORMED, f"refused for {code[:40]!r}, a reason unknown here: {detail}")
