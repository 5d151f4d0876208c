"""The plans this gateway has seen, by digest: what a hospital admitted is one of these, to the letter."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import ValidationError

from fedward_node.durable import write_durably
from fedward_protocol.plan import JobIdentity, Plan
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.work_order import WorkOrder

KEPT_AFTER_EXPIRY = timedelta(hours=1)
"""How long a plan outlives its order: the order may yet be renewed, and an update that it let begin be on its way."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Plans:
    """A folder of plans; it outlives the process, so that an update after a restart needs no new hello.

    Beside each plan lies until when it is admitted: the latest expiry of an order that was shown for it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def learn(self, order: WorkOrder, text: bytes) -> Plan:
        """Check the plan that a trainer says hello with against its order, and keep it.

        Raises:
            RefusedError: PLAN_MISMATCH, it is not the plan that the order admits.
            OSError: it cannot be kept.
        """
        plan = _admitted(order, text)
        path = self._path(order)
        # The expiry first: a plan without one is swept away.
        if order.expires > _expiry(path):
            write_durably(_expiry_path(path), order.expires.isoformat().encode())
        if not path.exists():
            write_durably(path, text)
        return plan

    def of(self, order: WorkOrder) -> Plan:
        """Return the plan that an order admits.

        Raises:
            RefusedError: PLAN_UNKNOWN, no trainer has said hello with it yet.
        """
        path = self._path(order)
        if not path.exists():
            raise RefusedError(Reason.PLAN_UNKNOWN)
        return _admitted(order, path.read_bytes())

    def sweep(self, now: datetime) -> set[JobIdentity]:
        """Delete the plans whose orders have expired and were not renewed; return the jobs that are left.

        Raises:
            OSError: the disk is broken.
        """
        left = set()
        for path in self._folder.glob("*.json"):
            if _expiry(path) + KEPT_AFTER_EXPIRY > now:
                left.add(Plan.parse(path.read_bytes()).job)
            else:
                path.unlink()
                _expiry_path(path).unlink(missing_ok=True)
        return left

    def _path(self, order: WorkOrder) -> Path:
        return self._folder / f"{order.plan_digest}.json"


def _expiry_path(plan: Path) -> Path:
    return plan.with_suffix(".expires")


def _expiry(plan: Path) -> datetime:
    """Read until when a plan is admitted; nothing said is long ago."""
    path = _expiry_path(plan)
    return datetime.fromisoformat(path.read_text()) if path.exists() else _LONG_AGO


def _admitted(order: WorkOrder, text: bytes) -> Plan:
    # The digest is taken over the very bytes, not over what this version of the software would write them as.
    if hashlib.sha256(text).hexdigest() != order.plan_digest:
        raise RefusedError(Reason.PLAN_MISMATCH, "its digest is not the order's")
    try:
        plan = Plan.parse(text)
    except ValidationError as error:
        raise RefusedError(Reason.PLAN_MISMATCH, "it is no plan that this version can read") from error
    if (plan.federation, plan.job) != (order.federation, order.job) or order.site not in plan.sites:
        raise RefusedError(Reason.PLAN_MISMATCH, "its federation, job or sites are not the order's")
    return plan
