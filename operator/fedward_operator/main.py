"""The operator's process: `fedward-operator hub` or `fedward-operator site`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import re
import signal
import socket
import tempfile
import uuid
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fedward_operator.checks import command
from fedward_operator.kube.access import Access, AccessError, from_kubeconfig, in_cluster
from fedward_operator.kube.election import LostError
from fedward_protocol import logs, scraping

if TYPE_CHECKING:
    from fedward_operator.site.hub_door import HubDoor

_log = logging.getLogger(__name__)

LOST, UNUSABLE = 1, 2
"""Exit codes: another replica leads by now; it cannot start from what it was given."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one role until SIGTERM and return the exit code."""
    chosen = _parser().parse_args(arguments)
    logs.configure("operator")
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        if chosen.role == "check":
            return command.run(chosen)
        asyncio.run(_serve(chosen))
    except LostError as error:
        _log.critical(str(error))
        return LOST
    except (AccessError, OSError, ValueError) as error:
        _log.critical(str(error))
        return UNUSABLE
    return 0


async def _serve(chosen: argparse.Namespace) -> None:
    stop = asyncio.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, stop.set)
    await (_hub(chosen, stop) if chosen.role == "hub" else _site(chosen, stop))
    _log.info("stopped")


def _hub(chosen: argparse.Namespace, stop: asyncio.Event) -> Coroutine[Any, Any, None]:
    from fedward_operator.hub import owned
    from fedward_operator.hub.authority import HubAuthority
    from fedward_operator.hub.authority_secret import AuthoritySecret
    from fedward_operator.hub.scraper_authority import ScraperAuthority
    from fedward_operator.hub.settings import HubSettings
    from fedward_operator.policy import naming
    from fedward_operator.roles import hub as process

    logs.bind(role="hub")
    secured = scraping.read_arguments(chosen)
    settings = HubSettings(
        federation=chosen.federation,
        door=chosen.door,
        aggregator_image=chosen.aggregator_image,
        trainer_image=chosen.trainer_image,
        storage_class=chosen.storage_class,
        storage=chosen.storage,
        site_certificate_life=chosen.site_certificate_life,
        namespace=chosen.namespace,
        scrapers=chosen.scrapers,
        scraper_authority=ScraperAuthority(secured.folder) if secured else None,
        annotate_aggregators=chosen.annotate_aggregators,
        tracing_endpoint=chosen.tracing_endpoint,
        tracing_egress=chosen.tracing_egress,
        tracker_image=chosen.tracker_image,
        tracking_egress=chosen.tracking_egress,
        pull_secrets=chosen.image_pull_secret,
    )
    if chosen.authority is not None:
        authority, secret = HubAuthority.load(chosen.authority, chosen.federation), None
    else:
        authority = HubAuthority(None, chosen.federation)
        secret = AuthoritySecret(chosen.namespace, chosen.authority_secret, chosen.make_authority)
    started = process.HubProcess(
        access=_access(chosen.kubeconfig),
        settings=settings,
        authority=authority,
        authority_secret=secret,
        namespace=chosen.namespace,
        me=_me(),
        metrics=chosen.metrics,
        aggregator_address=lambda key: f"{naming.aggregator(key[1])}.{key[0]}.svc:{owned.PORT}",
        secured=secured,
    )
    return process.serve(started, stop)


def _site(chosen: argparse.Namespace, stop: asyncio.Event) -> Coroutine[Any, Any, None]:
    from fedward_operator.roles import site as process
    from fedward_operator.site.settings import SiteSettings

    logs.bind(role="site", site=chosen.site)
    settings = SiteSettings(
        site=chosen.site,
        federation=chosen.federation,
        namespace=chosen.namespace,
        trainer_image=chosen.trainer_image,
        gateway=chosen.gateway,
        gateway_ca=chosen.gateway_ca,
        pull_secrets=chosen.image_pull_secret,
    )
    started = process.SiteProcess(
        here=_access(chosen.kubeconfig),
        hub=from_kubeconfig(chosen.hub_kubeconfig) if chosen.hub_kubeconfig else _door(chosen),
        settings=settings,
        key=_signing_key(chosen.signing_key) if chosen.signing_key else None,
        me=_me(),
        metrics=chosen.metrics,
        secured=scraping.read_arguments(chosen),
    )
    return process.serve(started, stop)


def _door(chosen: argparse.Namespace) -> HubDoor:
    from fedward_operator.site.hub_door import HubDoor

    if not (chosen.hub_ca and chosen.invitation):
        raise ValueError("a site that was invited needs --hub, --hub-ca and --invitation")
    folder = Path(tempfile.mkdtemp(prefix="fedward-"))
    return HubDoor.open(chosen.hub, chosen.hub_ca, chosen.hub_server_name, chosen.invitation, folder)


def _signing_key(path: Path) -> Ed25519PrivateKey:
    key = load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} is no Ed25519 key")
    return key


def _access(kubeconfig: Path | None) -> Access:
    return from_kubeconfig(kubeconfig) if kubeconfig is not None else in_cluster()


def _me() -> str:
    """Name this replica: a container that is started again in its pod is the same one, and need not wait for itself."""
    return os.environ.get("POD_NAME") or f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}"


def _life(text: str) -> timedelta:
    units = {"s": "seconds", "m": "minutes", "h": "hours"}
    match = re.fullmatch(r"([1-9][0-9]{0,5})([smh])", text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is no time; write it as 720h, 30m or 90s')
    return timedelta(**{units[match[2]]: int(match[1])})


def _objects(what: str, example: str, text: str) -> list[dict[str, Any]]:
    try:
        objects = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"this is no JSON: {error}") from None
    if not isinstance(objects, list) or not all(isinstance(each, dict) and each for each in objects):
        raise argparse.ArgumentTypeError(f"write a JSON list of {what}, for example {example}")
    return objects


_peers = partial(_objects, "peers", '[{"namespaceSelector": {}}]')
_egress = partial(_objects, "egress rules", '[{"to": [{"namespaceSelector": {}}], "ports": [{"port": 4317}]}]')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fedward-operator", description=__doc__)
    roles = parser.add_subparsers(dest="role", required=True)
    command.add_to(roles)
    hub = roles.add_parser("hub", help="runs FederatedJobs at the coordinating centre")
    hub.add_argument("--door", required=True, metavar="HOST:PORT", help="where every site reaches the hub")
    authority = hub.add_mutually_exclusive_group(required=True)
    authority.add_argument("--authority-secret", metavar="NAME", help="Secret of the federation's authority")
    authority.add_argument(
        "--authority", type=Path, help="folder of its tls.crt and tls.key, for use outside a cluster"
    )
    hub.add_argument("--make-authority", action="store_true", help="make the Secret where it is missing")
    hub.add_argument("--aggregator-image", required=True, help="image of the aggregator")
    hub.add_argument("--storage-class", help="StorageClass of the aggregators' claims")
    hub.add_argument("--storage", default="20Gi", help="size of an aggregator's claim")
    hub.add_argument(
        "--site-certificate-life", type=_life, default="720h", metavar="TIME", help="of a certificate: 720h, 90s"
    )
    hub.add_argument(
        "--scrapers", type=_peers, default=[], metavar="JSON", help="who may scrape aggregators: NetworkPolicy peers"
    )
    hub.add_argument(
        "--annotate-aggregators", action="store_true", help="let Prometheus find aggregators by prometheus.io/scrape"
    )
    hub.add_argument("--tracing-endpoint", default="", metavar="URL", help="where aggregators send their spans")
    hub.add_argument(
        "--tracing-egress", type=_egress, default=[], metavar="JSON", help="what they may reach for that: egress rules"
    )
    hub.add_argument("--tracker-image", default="", help="image of what logs jobs to MLflow; nothing does if left out")
    hub.add_argument(
        "--tracking-egress", type=_egress, default=[], metavar="JSON", help="what that may reach: egress rules"
    )
    site = roles.add_parser("site", help="runs a hospital's part in them")
    site.add_argument("--site", required=True, help="the hospital's name in the federation")
    hub_is = site.add_mutually_exclusive_group(required=True)
    hub_is.add_argument("--hub", metavar="HOST:PORT", help="the hub's door, for a site that was invited")
    hub_is.add_argument("--hub-kubeconfig", type=Path, help="a way to the hub's API server that was given otherwise")
    site.add_argument("--hub-ca", type=Path, help="authority of the hub's API server, PEM")
    site.add_argument("--hub-server-name", default="kubernetes.default.svc", help="the API server's name at the door")
    site.add_argument("--invitation", type=Path, help="file of the invitation's token; not needed once it has joined")
    site.add_argument("--signing-key", type=Path, help="Ed25519 key of work orders, PEM; kept in a Secret if left out")
    site.add_argument("--gateway", required=True, metavar="HOST:PORT", help="where trainers find the gateway")
    site.add_argument("--gateway-ca", default="fedward-federation-ca", help="ConfigMap whose ca.crt trainers believe")
    for role in (hub, site):
        role.add_argument("--federation", required=True, help="SPIFFE trust domain, and the domain of names")
        role.add_argument("--namespace", required=True, help="the operator's own namespace")
        role.add_argument("--trainer-image", required=True, help="image of the trainer")
        role.add_argument(
            "--image-pull-secret", action="append", default=[], metavar="NAME", help="to pull jobs' images with"
        )
        role.add_argument("--kubeconfig", type=Path, help="for use outside a cluster")
        role.add_argument("--metrics", required=True, metavar="HOST:PORT", help="where probes and Prometheus connect")
        scraping.add_arguments(role)
    return parser
