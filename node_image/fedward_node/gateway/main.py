"""The gateway's process: the hospital's one way out, with its key, its filters and its audit log."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from fedward_node.gateway.audit import AuditLog
from fedward_node.gateway.layouts import Layouts
from fedward_node.gateway.ledger import Ledger
from fedward_node.gateway.metrics import Metrics
from fedward_node.gateway.orders import Orders
from fedward_node.gateway.plans import Plans
from fedward_node.gateway.randomness import Randomness
from fedward_node.gateway.records import Audit, Records
from fedward_node.gateway.releases import Releases
from fedward_node.gateway.service import Gateway
from fedward_node.gateway.submission import Desk
from fedward_node.gateway.upstream import Upstreams
from fedward_protocol import logs, probes, tls
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Credentials

STOP_S = 2.0
"""How long calls may go on after SIGTERM; trainers repeat what is cut off."""

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM and return the exit code."""
    chosen = _parser().parse_args(arguments)
    logs.configure("gateway")
    asyncio.run(_serve(chosen))
    return 0


def assemble(
    state: Path, audit: Audit, identity: Identity, operator_key: Ed25519PublicKey, tls_folder: Path, metrics: Metrics
) -> Gateway:
    """Put a gateway together from what is on disk in `state`.

    Raises:
        RefusedError: the ledger cannot be read.
        OSError: the folder cannot be written.
    """
    state.mkdir(parents=True, exist_ok=True)
    desk = Desk(
        ledger=Ledger(state / "ledger.db"),
        records=Records(audit),
        releases=Releases(state / "releases", Randomness.kept(state / "noise.key"), metrics.filter_seconds.observe),
        layouts=Layouts(),
        metrics=metrics,
    )
    orders = Orders(operator_key, identity, lambda: datetime.now(UTC))
    upstreams = Upstreams(lambda: Credentials.read(tls_folder))
    return Gateway(orders, Plans(state / "plans"), upstreams, desk, time.monotonic)


def identity_of(certificate_pem: bytes) -> Identity:
    """Return whom a certificate names.

    Raises:
        RefusedError: IDENTITY_MISMATCH, its URI is none of a federation's.
        ValueError: it is no certificate, or does not name exactly one URI.
    """
    certificate = x509.load_pem_x509_certificate(certificate_pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    return Identity.parse(uri)


async def _serve(chosen: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, stopped.set)
    credentials, metrics = Credentials.read(chosen.tls), Metrics()
    identity = identity_of(credentials.cert_pem)
    gateway = assemble(
        chosen.state, AuditLog(chosen.audit), identity, _public_key(chosen.operator_key), chosen.tls, metrics
    )
    server = grpc.aio.server(options=tls.SERVER_OPTIONS)
    server.add_generic_rpc_handlers((gateway.handler(),))
    server.add_secure_port(chosen.listen, tls.server_credentials(credentials, require_client=False))
    with probes.serve(chosen.metrics, metrics.registry, lambda: None):
        await server.start()
        _log.info("serving", extra={"identity": identity.uri, "listen": chosen.listen})
        await stopped.wait()
        await server.stop(STOP_S)
    gateway.close()
    _log.info("stopped")


def _public_key(path: Path) -> Ed25519PublicKey:
    key = load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise SystemExit(f"{path} is not an Ed25519 public key")
    return key


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fedward-gateway", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="folder for the ledger and what is resumed")
    parser.add_argument("--audit", type=Path, required=True, help="folder of the audit log")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where trainers connect")
    parser.add_argument("--metrics", required=True, metavar="HOST:PORT", help="where probes and Prometheus connect")
    parser.add_argument("--tls", type=Path, required=True, help="folder of tls.crt, tls.key and ca.crt")
    parser.add_argument("--operator-key", type=Path, required=True, help="the site operator's public key, PEM")
    return parser
