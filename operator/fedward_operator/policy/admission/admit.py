"""All rules together: no before not yet, not yet before yes."""

from __future__ import annotations

from datetime import datetime

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.policy.admission.approval import approval_of
from fedward_operator.policy.admission.dataset import dataset_of
from fedward_operator.policy.admission.gpu import placement_of
from fedward_operator.policy.admission.image import image_of
from fedward_operator.policy.admission.limits import amounts_of
from fedward_operator.policy.admission.plan import plan_of
from fedward_operator.policy.admission.schedule import closes_in
from fedward_operator.policy.admission.verdict import Grant, Refused, Waits


def admit(
    asked: SiteJobSpec, policy: SitePolicySpec | None, installed_image: str, approved: str | None, now: datetime
) -> Grant | Refused | Waits:
    """Say whether a SiteJob may run now, and with what.

    Args:
        asked: what the hub asks.
        policy: the hospital's; None if it has none yet.
        installed_image: the trainer's image that came with the site's chart.
        approved: digest of what a person approved.
        now: an aware time.
    """
    if policy is None:
        return Waits("NoSitePolicy", "the hospital has not said yet what may run", None)
    plan = plan_of(asked)
    if isinstance(plan, Refused):
        return plan
    volume, image = dataset_of(plan.data, policy), image_of(asked.image, installed_image, policy.images)
    placement = placement_of(asked.resources, asked.pod_template, policy)
    amounts = amounts_of(asked.resources, policy.limits)
    for refusal in (volume, image, placement, amounts):
        if isinstance(refusal, Refused):
            return refusal
    missing = approval_of(asked, policy, approved)
    if missing is not None:
        return missing
    closes = closes_in(policy.schedule, now)
    if isinstance(closes, Waits):
        return closes
    assert not isinstance(volume, Refused) and not isinstance(image, Refused)  # noqa: PT018
    assert not isinstance(placement, Refused) and not isinstance(amounts, Refused)  # noqa: PT018
    return Grant(
        volume=volume,
        image=image,
        gpus=placement.gpus,
        node_selector=placement.node_selector,
        tolerations=placement.tolerations,
        runtime_class_name=placement.runtime_class_name,
        priority_class_name=asked.pod_template.priority_class_name,
        cpu=amounts[0],
        memory=amounts[1],
        closes_s=closes,
    )
