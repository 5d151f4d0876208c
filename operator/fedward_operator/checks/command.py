"""`fedward-operator check`: looks at a hub or a site once, and ends with 1 if something is wrong."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from fedward_operator.checks import hub, site, writing
from fedward_operator.checks.cluster import Cluster
from fedward_operator.checks.finding import Finding
from fedward_operator.kube.access import from_kubeconfig, in_cluster
from fedward_protocol.identity import Identity

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

HEALTHY, WRONG = 0, 1


def add_to(roles: Subparsers) -> None:
    """Add the subcommand to the parser of `fedward-operator`."""
    check = roles.add_parser("check", help="looks whether a hub or a site works, as helm test does")
    which = check.add_subparsers(dest="checked", required=True)
    at_hub = which.add_parser("hub", help="at the coordinating centre")
    at_hub.add_argument("--address", required=True, metavar="HOST:PORT", help="where sites reach the hub")
    at_hub.add_argument("--door", required=True, metavar="HOST:PORT", help="the door's Service")
    at_hub.add_argument("--authority", type=Path, required=True, help="folder of the authority's tls.crt and ca.crt")
    at_hub.add_argument("--storage-class", help="StorageClass of the aggregators' claims")
    at_site = which.add_parser("site", help="at a hospital")
    at_site.add_argument("--site", required=True, help="the hospital's name in the federation")
    at_site.add_argument("--hub", required=True, metavar="HOST:PORT", help="the hub's door")
    at_site.add_argument("--hub-ca", type=Path, required=True, help="authority of the hub's API server, PEM")
    at_site.add_argument("--hub-server-name", required=True, help="the API server's name at the door")
    at_site.add_argument("--member", type=Path, required=True, help="folder of the site's tls.crt, ca.crt and token")
    at_site.add_argument("--gateway", required=True, metavar="HOST:PORT", help="where trainers find the gateway")
    at_site.add_argument("--gateway-metrics", required=True, metavar="HOST:PORT", help="probes of the gateway")
    for each in (at_hub, at_site):
        each.add_argument("--federation", required=True, help="SPIFFE trust domain, and the domain of names")
        each.add_argument("--namespace", required=True, help="where the hub or the site is installed")
        each.add_argument("--operator", required=True, metavar="HOST:PORT", help="probes of the operator")
        each.add_argument("--kubeconfig", type=Path, help="for use outside a cluster")


def run(chosen: argparse.Namespace) -> int:
    """Look, print and return the exit code.

    Raises:
        AccessError: there is no way to the API server of this cluster.
    """
    findings = list(_look(chosen))
    print("\n".join(writing.write(findings)), flush=True)  # noqa: T201 this is what it is there for
    return HEALTHY if writing.is_healthy(findings) else WRONG


def _look(chosen: argparse.Namespace) -> Iterator[Finding]:
    cluster = Cluster(from_kubeconfig(chosen.kubeconfig) if chosen.kubeconfig else in_cluster())

    def now() -> datetime:
        return datetime.now(UTC)

    if chosen.checked == "hub":
        looked_at = hub.Hub(
            federation=chosen.federation,
            namespace=chosen.namespace,
            address=chosen.address,
            door=chosen.door,
            operator=chosen.operator,
            authority=chosen.authority,
            storage_class=chosen.storage_class,
        )
        return hub.look(looked_at, cluster, now)
    member = site.Site(
        identity=Identity(chosen.federation, "site", chosen.site),
        namespace=chosen.namespace,
        hub=chosen.hub,
        hub_ca=chosen.hub_ca,
        server_name=chosen.hub_server_name,
        member=chosen.member,
        operator=chosen.operator,
        gateway=chosen.gateway,
        gateway_metrics=chosen.gateway_metrics,
    )
    return site.look(member, cluster, os.environ, now)
