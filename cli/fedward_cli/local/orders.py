"""Work orders, signed here as each hospital's operator would: what it admits, under its own floor and budget."""

from __future__ import annotations

import os
import uuid
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_cli.documents import Documents
from fedward_cli.local.attempt import Attempt
from fedward_cli.local.credentials import LIFETIME
from fedward_cli.local.folder import Folder
from fedward_protocol.identity import aggregator_name
from fedward_protocol.work_order import Budget, WorkOrder, sign

_CLOCK_SKEW = timedelta(minutes=5)


def write_orders(folder: Folder, documents: Documents, attempt: Attempt, aggregator: str, now: datetime) -> None:
    """Write each site's signed order, and the public key that gateways check it by; the private key is forgotten.

    Args:
        folder: where to.
        documents: whose policies say floor, budget and exports.
        attempt: what is ordered.
        aggregator: host:port.
        now: the present, time zone included.
    """
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    folder.operator_key.write_bytes(public)
    folder.work_order("site").parent.mkdir(exist_ok=True)
    for site in attempt.plan.sites:
        envelope = sign(_order(documents, attempt, aggregator, now, site), key)
        handle = os.open(folder.work_order(site), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(envelope)


def _order(documents: Documents, attempt: Attempt, aggregator: str, now: datetime, site: str) -> WorkOrder:
    plan, policy = attempt.plan, documents.policies[site].spec
    budget = policy.privacy.budget
    return WorkOrder(
        order_id=str(uuid.uuid4()),
        federation=plan.federation,
        job=plan.job,
        attempt=attempt.number,
        site=site,
        dataset=plan.data.dataset,
        plan_digest=plan.digest().hex(),
        aggregator=aggregator,
        aggregator_name=aggregator_name(plan.job.name, plan.job.namespace, plan.federation),
        floor=policy.privacy.floor,
        budget=Budget(epsilon=budget.epsilon, delta=budget.delta) if budget else None,
        exports=policy.export.metrics,
        not_before=now - _CLOCK_SKEW,
        expires=now + LIFETIME,
    )
