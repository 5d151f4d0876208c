"""Looks at a hub from a pod of its own: its door, its operator, its authority, its sites, what the cluster gives it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fedward_operator.checks import authority, door, heard, kinds_installed, names, ready, storage, transport
from fedward_operator.checks.cluster import Cluster
from fedward_operator.checks.connection import Server
from fedward_operator.checks.finding import Finding, Level, Trouble, skipped, warning, wrong
from fedward_operator.kube import kinds
from fedward_operator.kube.errors import ApiError, UnavailableError

NAME, THROUGH, SITES = "address of the hub", "API server through the door", "sites"

API_SERVER = "kubernetes.default.svc"
"""The name by which the door knows it."""

SLICES = (
    "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector=kubernetes.io/service-name%3Dfedward-door"
)
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.fedward.io"


@dataclass(frozen=True, slots=True)
class Hub:
    """What is looked at.

    Attributes:
        address: host:port at which sites reach the hub.
        door: host:port of the door's Service.
        operator: host:port of the operator's probes.
        authority: folder of the authority's tls.crt and ca.crt.
        storage_class: of the aggregators' claims; the cluster's default where None.
    """

    federation: str
    namespace: str
    address: str
    door: str
    operator: str
    authority: Path
    storage_class: str | None


def look(hub: Hub, cluster: Cluster, now: Callable[[], datetime]) -> Iterator[Finding]:
    """Look at everything; what cannot be looked at is said so."""
    yield from _door(hub, cluster)
    log = f"kubectl logs deployment/fedward-hub-operator -n {hub.namespace}"
    yield ready.ready("operator", Server.direct(hub.operator), log)
    cert, ca = (_read(hub.authority / name) for name in ("tls.crt", "ca.crt"))
    yield authority.held(cert, ca, hub.federation, now(), log)
    yield from _asking(lambda: kinds_found(cluster), "kinds")
    yield from _asking(lambda: [_storage(hub, cluster)], storage.ABOUT)
    yield from _asking(lambda: sites(cluster.items(kinds.FEDERATED_SITE.path())), SITES)


def sites(found: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Judge FederatedSites: whether each is heard, and of a version that goes with this one."""
    if not found:
        return [skipped(SITES, "nobody is invited yet: fedward invite SITE > SITE.yaml")]
    return [finding for site in found for finding in _site(site)]


def kinds_found(cluster: Cluster) -> list[Finding]:
    """Judge the kinds that the cluster knows."""
    found = {plural: cluster.item(DEFINITION.format(plural)) for plural in kinds_installed.PLURALS}
    return list(kinds_installed.installed(found, kinds_installed.PLURALS, "helm upgrade, with crds.enabled=true"))


def _door(hub: Hub, cluster: Cluster) -> Iterator[Finding]:
    address, server = Server.direct(hub.address), Server.direct(hub.door)
    resolved = names.resolve(NAME, address, f"kubectl get service fedward-door -n {hub.namespace} -o wide")
    # Sites have to know the name. That this cluster does not know what the world outside calls it may be as it should.
    yield warning(NAME, resolved.reason, resolved.said, resolved.then) if resolved.level is Level.WRONG else resolved
    pods = f"kubectl describe pods -n {hub.namespace} -l app.kubernetes.io/component=door"
    yield from _asking(lambda: [door.backed(cluster.items(SLICES.format(hub.namespace)), pods)], door.BACKENDS)
    log = f"kubectl logs deployment/fedward-door -n {hub.namespace}"
    yield transport.trust(THROUGH, server, cluster.context, API_SERVER, log)
    yield door.closed_to(server, f"nobody.{hub.federation}", log)


def _storage(hub: Hub, cluster: Cluster) -> Finding:
    return storage.provided(cluster.items(CLASSES), hub.storage_class, "kubectl get storageclass")


def _site(site: Mapping[str, Any]) -> Iterator[Finding]:
    name = site["metadata"]["name"]
    heard_of = heard.connected(site, f"kubectl describe federatedsite {name}")
    yield heard_of
    if heard_of.level is Level.OK:
        versions = heard.compatible(
            f"version of {name}", version("fedward"), site["status"].get("version", ""), "helm list --all-namespaces"
        )
        if versions.level is not Level.OK:
            yield versions


def _asking(look: Callable[[], list[Finding]], about: str) -> Iterator[Finding]:
    """Look at what the API server shows; that it shows nothing is a finding too."""
    try:
        yield from look()
    except (ApiError, UnavailableError) as error:
        yield wrong(
            about, Trouble.NOT_ANSWERED, f"the API server does not show it: {error}", "kubectl get --raw /readyz"
        )


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
