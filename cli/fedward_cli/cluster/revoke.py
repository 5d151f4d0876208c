"""`fedward revoke site`: the hub believes a hospital no more."""

from __future__ import annotations

from fedward_cli.cluster.kubectl import ClusterError, Kubectl, find, kubectl, listed
from fedward_operator.policy import naming


def jobs_of(site: str, run: Kubectl = kubectl) -> list[str]:
    """Name the jobs that a site takes part in, by namespace and name.

    Raises:
        ClusterError: there is no such site, or kubectl says no.
    """
    if find(run, "federatedsite", site) is None:
        raise ClusterError(f"there is no site {site}; kubectl get federatedsites lists them")
    parts = listed(run, "sitejobs.fedward.io", "--namespace", naming.mailbox(site))
    return sorted(f"{part['spec']['job']['namespace']}/{part['spec']['job']['name']}" for part in parts)


def revoke(site: str, run: Kubectl = kubectl) -> None:
    """Revoke a site; the hub's operator does what follows.

    Raises:
        ClusterError: kubectl says no.
    """
    run(["patch", "federatedsite", site, "--type=merge", "-p", '{"spec":{"revoked":true}}'])
