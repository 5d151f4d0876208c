"""Whether a process exports spans: one setting in the environment, and nothing is imported without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

from fedward_protocol.tracing.spans import Sink

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""Where the collector listens for OTLP over gRPC: http://collector:4317, or https."""


@contextmanager
def exporting(service: str, environ: Mapping[str, str]) -> Iterator[Sink | None]:
    """Give what takes spans to the collector; None where none is named.

    Args:
        service: what the spans say whose they are: `fedward-gateway`.
        environ: the process's environment.

    Raises:
        SystemExit: the setting is no address.
    """
    endpoint = environ.get(ENDPOINT, "")
    if not endpoint:
        yield None
        return
    if wrong := complaint(environ):
        raise SystemExit(wrong)
    # A sixth of a second and 6 MB, which nobody pays who does not trace.
    from fedward_protocol.tracing.otlp import Exporter

    exporter = Exporter(service, endpoint)
    try:
        yield exporter.send
    finally:
        exporter.close()


def complaint(environ: Mapping[str, str]) -> str | None:
    """Say what is wrong with the setting in an environment; None where nothing is."""
    endpoint = environ.get(ENDPOINT, "")
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port is not None
    except ValueError:
        is_address = False
    if is_address or not endpoint:
        return None
    return f"{ENDPOINT} is {endpoint!r}; write it as http://collector:4317"
