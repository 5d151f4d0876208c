"""Puts a gateway together from what is on its disk."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from pydantic import JsonValue

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
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Credentials


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


def origin_of(identity: Identity, certificate_pem: bytes) -> dict[str, JsonValue]:
    """Return what the audit log records about who writes it: site, federation, SHA-256 of the certificate."""
    fingerprint = x509.load_pem_x509_certificate(certificate_pem).fingerprint(SHA256())
    return {"site": identity.name, "federation": identity.federation, "certificate": fingerprint.hex()}


def identity_of(certificate: x509.Certificate) -> Identity:
    """Return whom a certificate names.

    Raises:
        RefusedError: IDENTITY_MISMATCH, its URI is none of a federation's.
        ValueError: it does not name exactly one URI.
    """
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    (uri,) = names.get_values_for_type(x509.UniformResourceIdentifier)
    return Identity.parse(uri)
