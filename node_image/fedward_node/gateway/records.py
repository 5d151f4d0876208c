"""How the gateway writes its audit log: a record is on the disk before what it speaks of leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from pydantic import JsonValue

from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.work_order import WorkOrder


class Audit(Protocol):
    """An append-only log."""

    def append(self, event: str, facts: Mapping[str, JsonValue]) -> None:
        """Write one record and return once it is on the disk; any failure is raised."""


class Records:
    """Writes records that name the order they were made under.

    Args:
        audit: where they are kept.
        written: told of each that is on the disk.
    """

    def __init__(self, audit: Audit, written: Callable[[], None]) -> None:
        self._audit = audit
        self._written = written

    async def write(self, event: str, order: WorkOrder, **facts: JsonValue) -> None:
        """Write one record; in a thread, because it waits for the disk.

        Raises:
            RefusedError: AUDIT_FAILED, so that nothing may leave.
        """
        about: dict[str, JsonValue] = {
            "order": order.order_id,
            "job": f"{order.job.namespace}/{order.job.name}",
            "job_uid": order.job.uid,
            "attempt": order.attempt,
            "dataset": order.dataset,
            "plan": order.plan_digest,
            "aggregator": order.aggregator,
            **facts,
        }
        try:
            await asyncio.to_thread(self._audit.append, event, about)
        except RefusedError:
            raise
        except Exception as error:
            raise RefusedError(Reason.AUDIT_FAILED, f"{type(error).__name__}: {error}") from error
        self._written()
