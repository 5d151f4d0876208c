"""What it is: the plan has to be the one that its digest names, and about what is asked beside it."""

from __future__ import annotations

from fedward_operator.api.site_job import SiteJobSpec
from fedward_operator.policy.admission.verdict import Refused
from fedward_protocol.plan import Plan


def plan_of(asked: SiteJobSpec) -> Plan | Refused:
    """Read the plan."""
    try:
        plan = Plan.parse(asked.plan.encode())
    except ValueError:
        return Refused("PlanInvalid", "the plan cannot be read by this site's version")
    if plan.digest().hex() != asked.plan_digest:
        return Refused("PlanMismatch", "the plan is not the one that its digest names")
    job = plan.job
    same = (job.namespace, job.name, job.uid) == (asked.job.namespace, asked.job.name, asked.job.uid)
    if not same or asked.site not in plan.sites or plan.data.dataset != asked.dataset:
        return Refused("PlanMismatch", "the plan is about another job, site or dataset than what is asked")
    return plan
