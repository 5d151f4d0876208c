"""Whom the gateway believes: each call must show a work order that this site's operator signed, and keep to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedward_protocol import work_order
from fedward_protocol.identity import Identity
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import WorkOrder


class Orders:
    """Checks work orders.

    Args:
        key: the site operator's public key.
        identity: the gateway's own, from its certificate.
        now: the wall clock.
    """

    def __init__(self, key: Ed25519PublicKey, identity: Identity, now: Callable[[], datetime]) -> None:
        self._key = key
        self._identity = identity
        self._now = now

    def check(self, metadata: Iterable[tuple[str, str | bytes]]) -> WorkOrder:
        """Return the order that a call's metadata shows.

        Raises:
            RefusedError: WORK_ORDER_MISSING, or why the order shown is not believed.
        """
        envelopes = [value for key, value in metadata if key == work_order.METADATA_KEY]
        if len(envelopes) != 1 or not isinstance(envelopes[0], bytes):
            raise RefusedError(Reason.WORK_ORDER_MISSING, f"{len(envelopes)} work orders in the call's metadata")
        order = work_order.verify(envelopes[0], self._key, self._now(), self._identity.name)
        if order.federation != self._identity.federation:
            detail = f"made out for {order.federation}, this is {self._identity.federation}"
            raise RefusedError(Reason.WORK_ORDER_MISMATCH, detail)
        return order

    def seconds_left(self, order: WorkOrder) -> float:
        """Return for how long the order is still valid."""
        return (order.expires - self._now()).total_seconds()


def check_speaks_for(order: WorkOrder, job: pb.JobRef, site: str) -> None:
    """Refuse a message for another job, attempt or site than the order's.

    Raises:
        RefusedError: WORK_ORDER_MISMATCH.
    """
    if (job.uid, job.attempt, site) != (order.job.uid, order.attempt, order.site):
        said = f"{job.uid[:64]!r} attempt {job.attempt} at {site[:64]!r}"
        detail = f"the message is for {said}, the order for {order.job.uid} attempt {order.attempt} at {order.site}"
        raise RefusedError(Reason.WORK_ORDER_MISMATCH, detail)
