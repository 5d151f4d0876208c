"""The gateway's process: the hospital's one way out, with its key, its filters and its audit log."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import JsonValue

from fedward_node.gateway.assembly import assemble
from fedward_node.gateway.audit import AuditLog
from fedward_node.gateway.metrics import Metrics
from fedward_node.gateway.readiness import Readiness, obstacle
from fedward_node.gateway.service import Gateway
from fedward_protocol import logs, probes, scraping
from fedward_protocol.allocation import keep_chunk_buffers
from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.server import Server
from fedward_protocol.tracing.exporting import exporting

STOP_S = 2.0
"""How long calls may go on after SIGTERM; trainers repeat what is cut off."""

SWEEP_EVERY_S = 3600.0
"""How often what expired jobs left behind is deleted: they expire by the day."""

_UNREADY = 1
"""Exit code: what it needs to start is not there yet, or a port is taken."""

_log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM and return the exit code."""
    chosen = _parser().parse_args(arguments)
    logs.configure("gateway")
    keep_chunk_buffers()
    try:
        asyncio.run(_serve(chosen))
    except probes.ListenError as error:
        _log.critical("%s; free the port, or name another with --metrics", error)
        return _UNREADY
    except scraping.UnusableError as error:
        _log.critical(str(error))
        return _UNREADY
    return 0


async def _serve(chosen: argparse.Namespace) -> None:
    stopped = asyncio.Event()
    for kind in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(kind, stopped.set)
    secured = scraping.read_arguments(chosen)
    certificates, key = CertificateFolder(chosen.tls), _public_key(chosen.operator_key)
    certificate = certificates.current()
    logs.bind(site=certificate.identity.name)
    origin: dict[str, JsonValue] = {
        "site": certificate.identity.name,
        "federation": certificate.identity.federation,
        "certificate": certificate.x509.fingerprint(hashes.SHA256()).hex(),
    }
    folders = {"state": chosen.state, "audit log": chosen.audit}
    metrics = Metrics(certificate.identity.name)
    metrics.watch_volumes(folders)
    metrics.watch_certificate(lambda: certificates.current().x509.not_valid_after_utc)
    with AuditLog(chosen.audit, origin) as audit, exporting("fedward-gateway", os.environ) as sink:
        gateway = assemble(chosen.state, audit, certificates, key, metrics, sink)
        server = Server(gateway.handler(), certificates, chosen.listen, require_client=False)

        def look() -> str | None:
            return obstacle(certificates.current(), folders, datetime.now(UTC))

        with probes.serve(chosen.metrics, metrics.registry, Readiness(look), secured=secured):
            sweeping = asyncio.create_task(_sweep(gateway))
            await server.start()
            _log.info("serving", extra={"identity": certificate.identity.uri, "listen": chosen.listen})
            await stopped.wait()
            sweeping.cancel()
            await server.stop(STOP_S)
        gateway.close()
    _log.info("stopped")


async def _sweep(gateway: Gateway) -> None:
    while True:
        try:
            gateway.sweep(datetime.now(UTC))
        except (OSError, ValueError) as error:  # the disk is broken, or what is on it
            _log.warning("what expired jobs left behind cannot be deleted: %s", error)
        await asyncio.sleep(SWEEP_EVERY_S)


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
    scraping.add_arguments(parser)
    parser.add_argument("--tls", type=Path, required=True, help="folder of tls.crt, tls.key and ca.crt")
    parser.add_argument("--operator-key", type=Path, required=True, help="the site operator's public key, PEM")
    return parser
