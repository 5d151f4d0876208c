"""Puts a gateway together from what is on its disk."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedward_node.gateway.accounting import COMPOSITION_DELTA
from fedward_node.gateway.layouts import Layouts
from fedward_node.gateway.ledger import Ledger
from fedward_node.gateway.metrics import Metrics
from fedward_node.gateway.orders import Orders
from fedward_node.gateway.plans import Plans
from fedward_node.gateway.randomness import Randomness
from fedward_node.gateway.records import Audit, Records
from fedward_node.gateway.releases import Releases
from fedward_node.gateway.service import Gateway
from fedward_node.gateway.site_rounds import SiteRounds
from fedward_node.gateway.submission import Desk
from fedward_node.gateway.upstream import Upstreams
from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.tracing.spans import Sink


def assemble(
    state: Path,
    audit: Audit,
    certificates: CertificateFolder,
    operator_key: Ed25519PublicKey,
    metrics: Metrics,
    sink: Sink | None = None,
) -> Gateway:
    """Put a gateway together from what is on disk in `state`; with a sink for spans it traces.

    Raises:
        RefusedError: the ledger cannot be read.
        OSError: the folder cannot be written.
    """
    state.mkdir(parents=True, exist_ok=True)
    desk = Desk(
        ledger=Ledger(state / "ledger.db"),
        records=Records(audit, metrics.audit_entries.inc),
        releases=Releases(state / "releases", Randomness.kept(state / "noise.key"), metrics.filter_seconds.observe),
        layouts=Layouts(),
        metrics=metrics,
        rounds=SiteRounds(sink, time.time),
    )
    for dataset in desk.ledger.datasets():
        # Until a job says at which δ the hospital keeps its books; by default they are the same.
        metrics.show_spent(dataset, desk.ledger.spent(dataset, COMPOSITION_DELTA).epsilon)
    orders = Orders(operator_key, certificates.current().identity, lambda: datetime.now(UTC))
    upstreams = Upstreams(certificates.current, lambda: datetime.now(UTC))
    return Gateway(orders, Plans(state / "plans"), upstreams, desk, time.monotonic)
