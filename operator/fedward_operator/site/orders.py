"""Signs work orders: what the gateway believes a trainer by."""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from datetime import datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.kube import kinds
from fedward_operator.policy import naming
from fedward_operator.policy.admission.verdict import Grant
from fedward_operator.policy.conditions import show_time
from fedward_operator.site.settings import SiteSettings
from fedward_operator.site.trainer import head
from fedward_operator.site.views import Mirrored
from fedward_protocol.plan import JobIdentity
from fedward_protocol.work_order import Budget, WorkOrder, sign

_LIFETIME = timedelta(days=30)
_RENEWED_AFTER = _LIFETIME * 2 / 3
_CLOCK_SKEW = timedelta(minutes=5)


def basis_of(asked: SiteJobSpec, policy: SitePolicySpec, grant: Grant) -> str:
    """Digest all that a work order says but its times, and what the trainer is lent: with another it is started anew.

    Not its image: an upgrade of ours leaves alone what runs.
    """
    said = [
        *(asked.job.uid, asked.attempt, asked.plan_digest, asked.dataset),
        *(asked.aggregator.address, asked.aggregator.server_name),
        policy.privacy.model_dump(mode="json"),
        *(grant.volume.model_dump(), dict(grant.gpus), grant.cpu, grant.memory),
        *(dict(grant.node_selector), [each.model_dump() for each in grant.tolerations], grant.runtime_class_name),
        # Nothing where nothing is exported, so that an upgrade to the first version that can leaves alone what runs.
        *sorted(policy.export.metrics),
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


def order_secret(
    owner: Mirrored,
    asked: SiteJobSpec,
    policy: SitePolicySpec,
    basis: str,
    key: Ed25519PrivateKey,
    settings: SiteSettings,
    now: datetime,
) -> dict[str, Any]:
    """Make the Secret of a trainer's plan and signed work order.

    Raises:
        ValueError: the order is too long to travel.
    """
    budget = policy.privacy.budget
    order = WorkOrder(
        order_id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{owner.uid}/{asked.attempt}/{show_time(now)}")),
        federation=settings.federation,
        job=JobIdentity(name=asked.job.name, namespace=asked.job.namespace, uid=asked.job.uid),
        attempt=asked.attempt,
        site=settings.site,
        dataset=asked.dataset,
        plan_digest=asked.plan_digest,
        aggregator=asked.aggregator.address,
        aggregator_name=asked.aggregator.server_name,
        floor=policy.privacy.floor,
        budget=Budget(epsilon=budget.epsilon, delta=budget.delta) if budget else None,
        exports=policy.export.metrics,
        not_before=now - _CLOCK_SKEW,
        expires=now + _LIFETIME,
    )
    files = {"plan.json": asked.plan.encode(), "work-order": sign(order, key)}
    manifest = head(kinds.SECRET, owner, naming.order(owner.name), settings)
    manifest["metadata"]["annotations"] = {
        naming.ORDER: basis,
        naming.RENEW_AFTER: show_time(now + _RENEWED_AFTER),
    }
    data = {name: base64.b64encode(content).decode() for name, content in files.items()}
    return {**manifest, "type": "Opaque", "data": data}
