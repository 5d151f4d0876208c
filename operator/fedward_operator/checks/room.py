"""Whether the gateway's volumes have room: without it, nothing leaves and nothing is written down."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from http import HTTPStatus

from prometheus_client.parser import text_string_to_metric_families

from fedward_operator.checks.connection import Server, ask, connect
from fedward_operator.checks.finding import Finding, Trouble, fine, skipped, warning, wrong

ABOUT = "room of the gateway"
FREE, SIZE = "fedward_gateway_volume_free_bytes", "fedward_gateway_volume_size_bytes"

_LITTLE, _TOO_LITTLE = 0.10, 0.01
"""Of a volume: a tenth is time to act, a hundredth is not."""


def left(server: Server, then: str) -> Iterator[Finding]:
    """Read from the gateway's metrics how full its volumes are."""
    try:
        with connect(server) as stream:
            answer = ask(stream, server.host, "/metrics")
    except (OSError, http.client.HTTPException):
        yield skipped(ABOUT, "the gateway does not answer")
        return
    if answer.status == HTTPStatus.FORBIDDEN:
        yield skipped(ABOUT, "the gateway shows its metrics only to who has a certificate; Prometheus watches over it")
        return
    yield from judge(answer.body.decode(errors="replace"), then)


def judge(metrics: str, then: str) -> Iterator[Finding]:
    """Judge each volume."""
    try:
        samples = [each for family in text_string_to_metric_families(metrics) for each in family.samples]
    except ValueError:
        samples = []
    free, size = ({each.labels["volume"]: each.value for each in samples if each.name == name} for name in (FREE, SIZE))
    if not free.keys() & size.keys():
        yield skipped(ABOUT, "the gateway does not say: it is of an older version")
    for volume in sorted(free.keys() & size.keys()):
        about, share = f"{ABOUT}: {volume}", free[volume] / max(size[volume], 1)
        said = f"{free[volume] / 2**30:.1f} of {size[volume] / 2**30:.1f} GiB are free"
        if share < _TOO_LITTLE:
            yield wrong(about, Trouble.STORAGE_LOW, said, then)
        elif share < _LITTLE:
            yield warning(about, Trouble.STORAGE_LOW, said, then)
        else:
            yield fine(about, said)
