"""`fedward backup`: what a hub cannot be made again without, as manifests that kubectl applies to another cluster."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import yaml

from fedward_cli.cluster.hub import find_hub
from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, find, kubectl, listed
from fedward_cli.cluster.rights import mailbox, rights
from fedward_operator.policy.conditions import holds

_CLUSTERS_OWN = (
    *("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink"),
    *("ownerReferences", "finalizers", "deletionTimestamp", "deletionGracePeriodSeconds"),
)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"

_HEAD = """\
# A hub of {federation}. THIS HOLDS THE KEY OF THE FEDERATION'S AUTHORITY: whoever reads it can pass for any hospital.
# Into a new cluster: install the chart fedward-hub with the values of before, then
#   kubectl apply --server-side --force-conflicts -f THIS_FILE
#   fedward invite SITE > SITE.yaml      for each site; its certificate is still good, its token was of the lost cluster
# Jobs that had not ended are held (suspend: true) and begin anew when released; what was trained lies in volumes only.
"""


def backup(namespace: str, run: Kubectl = kubectl) -> str:
    """Read a hub and write it as YAML.

    Raises:
        ClusterError: there is no hub or no authority, or kubectl says no.
    """
    hub = find_hub(run, namespace)
    authority = find(run, "secret", hub.authority, namespace)
    if authority is None:
        raise ClusterError(f"the Secret {namespace}/{hub.authority} of the authority is missing")
    documents = [_plain(authority), *_sites(run), *_jobs(run)]
    head = _HEAD.format(federation=hub.federation)
    return head + yaml.safe_dump_all(documents, sort_keys=False, explicit_start=True, width=120)


def _sites(run: Kubectl) -> Iterator[Object]:
    for site in listed(run, "federatedsites"):
        yield _plain(site)
        if not (site.get("spec") or {}).get("revoked"):
            name = site["metadata"]["name"]
            yield mailbox(name)
            yield from rights(name)


def _jobs(run: Kubectl) -> Iterator[Object]:
    """Give what has not ended: a job that has would begin anew in a cluster that does not know how it went."""
    seen: set[str] = set()
    for job in listed(run, "federatedjobs", "-A"):
        conditions = (job.get("status") or {}).get("conditions") or ()
        if holds(conditions, "Completed") or holds(conditions, "Failed"):
            continue
        namespace = job["metadata"]["namespace"]
        if namespace not in seen:
            seen.add(namespace)
            yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        bundle = (job["spec"]["model"].get("bundle") or {}).get("configMap")
        found = find(run, "configmap", bundle, namespace) if bundle else None
        if found:
            yield _plain(found)
        yield {**_plain(job), "spec": {**job["spec"], "suspend": True}}


def _plain(found: Object) -> Object:
    """Leave out what the cluster itself has added."""
    document = copy.deepcopy({name: value for name, value in found.items() if name != "status"})
    metadata = {name: value for name, value in document["metadata"].items() if name not in _CLUSTERS_OWN}
    notes = {name: value for name, value in metadata.pop("annotations", {}).items() if name != _LAST_APPLIED}
    document["metadata"] = metadata | ({"annotations": notes} if notes else {})
    return document
