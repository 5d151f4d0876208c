"""Looks at a hospital's part of the federation from a pod of its own: the way to the hub, its parts, its data."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from fedward_operator.checks import clock, gpus, heard, membership, names, policy, reach, ready, room, token, transport
from fedward_operator.checks.cluster import Cluster
from fedward_operator.checks.connection import Answer, ProxyRefusedError, Server, ask, secure
from fedward_operator.checks.finding import Finding, Level, Trouble, skipped, wrong
from fedward_operator.kube import kinds
from fedward_operator.kube.access import believing
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.policy import naming
from fedward_protocol.identity import Identity, gateway_name
from fedward_protocol.proxy import ProxyError

NAME, DOOR, TLS, CLOCK, GATEWAY = "name of the hub", "door of the hub", "TLS to the hub", "clock", "TLS to the gateway"


@dataclass(frozen=True, slots=True)
class Site:
    """What is looked at.

    Attributes:
        identity: of the site.
        hub: host:port of the hub's door.
        hub_ca: file of the authority of the hub's API server.
        server_name: the API server's name at the door.
        member: folder of what the site got when it joined: tls.crt, ca.crt and token.
        operator: host:port of the operator's probes.
        gateway: host:port at which trainers find the gateway.
        gateway_metrics: host:port of its probes and metrics.
    """

    identity: Identity
    namespace: str
    hub: str
    hub_ca: Path
    server_name: str
    member: Path
    operator: str
    gateway: str
    gateway_metrics: str


def look(
    site: Site, cluster: Cluster, environment: Mapping[str, str], now: Callable[[], datetime]
) -> Iterator[Finding]:
    """Look at everything; what cannot be looked at is said so."""
    yield from _hub(site, environment, now)
    yield from _parts(site, now())
    try:
        policies = cluster.items(kinds.SITE_POLICY.path(site.namespace))
    except (ApiError, UnavailableError) as error:
        see = f"kubectl get sitepolicies -n {site.namespace}"
        yield wrong(policy.POLICY, Trouble.NOT_ANSWERED, f"the API server does not show it: {error}", see)
        return
    yield from policy.sound(policies, site.namespace)
    yield gpus.visible(policies, None, f"fedward doctor site -n {site.namespace}")


def _hub(site: Site, environment: Mapping[str, str], now: Callable[[], datetime]) -> Iterator[Finding]:
    rules = f"kubectl describe networkpolicy fedward-site-check -n {site.namespace}"
    later = (CLOCK, token.ABOUT, heard.ABOUT, heard.VERSIONS)
    try:
        server = Server.behind(site.hub, environment)
        context = believing(cafile=site.hub_ca)
    except ProxyError as error:
        see = f"kubectl get deployment fedward-site-operator -n {site.namespace} -o yaml"
        yield wrong(DOOR, Trouble.PROXY_INVALID, str(error), see)
        yield from _unseen(NAME, TLS, *later)
        return
    except OSError as error:
        said = f"the authority of the hub's API server cannot be read: {error.strerror or error}"
        yield wrong(TLS, Trouble.CERTIFICATE_UNTRUSTED, said, _authority(site))
        yield from _unseen(NAME, DOOR, *later)
        return
    steps: dict[str, Callable[[], Finding]] = {
        NAME: lambda: names.resolve(NAME, server, "kubectl get pods -n kube-system -l k8s-app=kube-dns"),
        DOOR: lambda: reach.reach(DOOR, server, rules),
        TLS: lambda: transport.trust(TLS, server, context, site.server_name, _authority(site)),
    }
    ahead = [*steps, *later]
    for about, step in steps.items():
        ahead.remove(about)
        finding = step()
        yield finding
        if finding.level is Level.WRONG:
            yield from _unseen(*ahead)
            return
    yield from _answers(site, server, context, now)


def _answers(site: Site, server: Server, context: ssl.SSLContext, now: Callable[[], datetime]) -> Iterator[Finding]:
    shown = _read(site.member / "token")
    mailbox = naming.mailbox(site.identity.name)

    def asked(path: str) -> Answer:
        with secure(server, context, site.server_name) as stream:
            return ask(stream, site.server_name, path, shown.decode().strip() if shown else None)

    log = f"kubectl logs deployment/fedward-site-operator -n {site.namespace}"
    try:
        listed = asked(f"{kinds.SITE_JOB.path(mailbox)}?limit=1")
        yield clock.agree(CLOCK, listed.headers.get("Date"), now(), "timedatectl  # on the node of this pod")
        if not shown:
            yield skipped(token.ABOUT, "the site has none: it has not joined")
            yield from _unseen(heard.ABOUT, heard.VERSIONS)
            return
        yield token.accepted(listed, mailbox, log)
        yield from heard.by_hub(asked(kinds.FEDERATED_SITE.path(None, site.identity.name)), version("fedward"), log)
    except (OSError, ProxyRefusedError, http.client.HTTPException) as error:
        yield wrong(DOOR, Trouble.NOT_ANSWERED, f"the hub's API server does not answer: {error}", log)


def _parts(site: Site, now: datetime) -> Iterator[Finding]:
    def log(part: str) -> str:
        return f"kubectl logs deployment/{part} -n {site.namespace}"

    cert, ca = (_read(site.member / name) for name in ("tls.crt", "ca.crt"))
    held = membership.joined(cert, ca, site.identity, now, log("fedward-site-operator"))
    yield held
    yield ready.ready("operator", Server.direct(site.operator), log("fedward-site-operator"))
    gateway = ready.ready("gateway", Server.direct(site.gateway_metrics), f"kubectl get pods -n {site.namespace}")
    yield gateway
    if gateway.level is Level.WRONG:
        yield from _unseen(GATEWAY, room.ABOUT)
        return
    if held.level is Level.WRONG or ca is None:
        yield from _unseen(GATEWAY)
    else:
        context = believing(cadata=ca.decode())
        name = gateway_name(site.identity.name, site.identity.federation)
        yield transport.trust(GATEWAY, Server.direct(site.gateway), context, name, log("fedward-gateway"))
    yield from room.left(Server.direct(site.gateway_metrics), f"kubectl get pvc -n {site.namespace}")


def _unseen(*abouts: str) -> Iterator[Finding]:
    for about in abouts:
        yield skipped(about, "it cannot be looked at before what is wrong is put right")


def _authority(site: Site) -> str:
    return f"kubectl get configmap fedward-hub-ca -n {site.namespace} -o yaml"


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
