"""Sends spans to an OpenTelemetry collector by OTLP over gRPC; one that is away or slow costs spans, and no time."""

from __future__ import annotations

import importlib.metadata
import logging
import threading
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags, set_span_in_context

from fedward_protocol.tracing.spans import Span

_CALL_S = 5.0
"""How long one attempt to deliver a batch may take."""
_CLOSE_S = 2.0
"""How long a process that ends may take to deliver its last spans."""
_NO_PROXY = (("grpc.enable_http_proxy", 0),)
"""A collector is on this side of the proxy that leads to the hub."""

_log = logging.getLogger(__name__)


class Exporter:
    """Takes spans, and delivers them from a thread of its own.

    Args:
        service: whose spans these are.
        endpoint: the collector, http:// or https:// with a port.
    """

    def __init__(self, service: str, endpoint: str) -> None:
        # The SDK would say at each try what is said here once.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        resource = Resource.create({"service.name": service, "service.version": importlib.metadata.version("fedward")})
        self._ids = _GivenIds()
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=resource, id_generator=self._ids, shutdown_on_exit=False
        )
        delivering = OTLPSpanExporter(
            endpoint=endpoint,
            timeout=_CALL_S,
            channel_options=_NO_PROXY,  # type: ignore[arg-type]  # its type knows only options that are text
        )
        self._telling = _Telling(delivering, endpoint)
        self._provider.add_span_processor(BatchSpanProcessor(self._telling))
        self._tracer = self._provider.get_tracer("fedward")

    def send(self, span: Span) -> None:
        """Have a span delivered soon; what is too much for the queue is dropped. Called by one thread alone."""
        trace_id, self._ids.span_id = int.from_bytes(span.trace_id), int.from_bytes(span.span_id)
        self._ids.trace_id = trace_id
        parent = set_span_in_context(NonRecordingSpan(_context(trace_id, span.parent_id)))
        begun = self._tracer.start_span(
            span.name, parent, attributes=dict(span.attributes), start_time=_nanoseconds(span.start)
        )
        if span.error is not None:
            begun.set_attribute("error.type", span.error)
            begun.set_status(Status(StatusCode.ERROR, span.error))
        begun.end(_nanoseconds(max(span.start, span.end)))

    def close(self) -> None:
        """Deliver what there is, but not for long."""
        # In a thread, because the SDK sets its own limit, which is longer than Kubernetes waits.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_CLOSE_S)
        # What is still under way ends with the process, at an instant at which no thread may write to stderr.
        self._telling.be_silent()


class _GivenIds(IdGenerator):
    """Gives the ids that it was given, where the SDK would draw them."""

    trace_id = span_id = 0

    def generate_trace_id(self) -> int:
        """Return the next span's trace."""
        return self.trace_id

    def generate_span_id(self) -> int:
        """Return the next span's id."""
        return self.span_id


class _Telling(SpanExporter):
    """Says when a collector is away, and when it is back: once each."""

    def __init__(self, delivering: SpanExporter, endpoint: str) -> None:
        self._delivering, self._endpoint = delivering, endpoint
        self._is_away = False
        self._may_tell = True
        # So that nobody is in the middle of a line once it is silent.
        self._lock = threading.Lock()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver a batch."""
        result = self._delivering.export(spans)
        is_away = result is not SpanExportResult.SUCCESS
        with self._lock:
            if self._may_tell and is_away and not self._is_away:
                _log.warning("spans cannot be delivered, and are dropped", extra={"collector": self._endpoint})
            elif self._may_tell and self._is_away and not is_away:
                _log.info("spans are delivered again", extra={"collector": self._endpoint})
            self._is_away = is_away
        return result

    def be_silent(self) -> None:
        """Say nothing from now on."""
        with self._lock:
            self._may_tell = False

    def shutdown(self) -> None:
        """Deliver no more."""
        self._delivering.shutdown()


def _context(trace_id: int, span_id: bytes | None) -> SpanContext:
    """Make a parent; without one it is not valid, and the span becomes a root."""
    return SpanContext(trace_id, int.from_bytes(span_id or b""), is_remote=False, trace_flags=TraceFlags(1))


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)
