"""Who said yes: where the hospital wants a person to, all that would run is approved by its digest."""

from __future__ import annotations

import hashlib
import json

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.policy.admission.verdict import Waits


def approval_digest(asked: SiteJobSpec) -> str:
    """Digest what a person approves; not when it runs, nor from where: a new attempt needs no new approval."""
    said = asked.model_dump(mode="json", exclude={"attempt", "suspend", "aggregator", "plan"})
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def approval_of(asked: SiteJobSpec, policy: SitePolicySpec, approved: str | None) -> Waits | None:
    """Say whether an approval is missing."""
    if policy.approval == "automatic" or approved == approval_digest(asked):
        return None
    return Waits("ApprovalPending", "a person of the hospital has to approve the job", None)
