"""The certificates of one start of a local run: made afresh each time, by an authority that is in memory only."""

from __future__ import annotations

from datetime import datetime, timedelta

from fedward_cli.local.folder import Folder
from fedward_protocol.identity import Identity, aggregator_name, gateway_name
from fedward_protocol.pki import Authority, Credentials
from fedward_protocol.plan import Plan

LIFETIME = timedelta(days=366)
"""Longer than any run: nothing here leaves the machine, and everything is made anew at the next start."""


def issue(folder: Folder, plan: Plan, now: datetime) -> Credentials:
    """Write the aggregator's and each site's credentials under `run/tls`; return the hub's, which this process uses."""
    authority = Authority.create(plan.federation, now)
    job = Identity(plan.federation, "job", plan.job.uid)
    server = aggregator_name(plan.job.name, plan.job.namespace, plan.federation)
    authority.issue(job, [server], now, LIFETIME).write(folder.tls("aggregator"))
    for site in plan.sites:
        names = [gateway_name(site, plan.federation)]
        authority.issue(Identity(plan.federation, "site", site), names, now, LIFETIME).write(folder.tls(site))
    return authority.issue(Identity(plan.federation, "hub"), [], now, LIFETIME)
