"""The spans of a round, whose ids follow from job, attempt and round: hub and hospital agree on them without a word."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fedward_protocol.plan import JobIdentity

Value = str | int | float | bool | tuple[str, ...]

_TRACE, _SPAN = "fedward trace 1", "fedward span 1"
"""What a digest is taken of besides the facts, so that those of another version would be others."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that took a while, and is over.

    Attributes:
        trace_id: 16 bytes.
        span_id: 8 bytes.
        parent_id: 8 bytes; None for the round itself.
        start, end: Unix seconds.
        error: the reason code why it went wrong; None where it did not.
    """

    name: str
    trace_id: bytes
    span_id: bytes
    parent_id: bytes | None
    start: float
    end: float
    attributes: Mapping[str, Value]
    error: str | None = None


Sink = Callable[[Span], None]
"""Takes spans to where they go; returns at once, whatever becomes of them."""


@dataclass(frozen=True, slots=True)
class RoundTrace:
    """One round of one attempt of a job."""

    job: JobIdentity
    attempt: int
    round: int

    @property
    def trace_id(self) -> bytes:
        """The trace that all of the round's spans belong to."""
        return self._digest(_TRACE)[:16]

    def whole(self, start: float, end: float, attributes: Mapping[str, Value], error: str | None = None) -> Span:
        """Make the span of the round itself, the root; the hub's alone."""
        return Span("round", self.trace_id, self._root_id, None, start, end, self._described(attributes), error)

    def at_hub(self, name: str, start: float, end: float, attributes: Mapping[str, Value]) -> Span:
        """Make the span of a part of the round at the hub."""
        span_id = self._part_id(name, attributes.get("fedward.site", ""), start)
        return Span(name, self.trace_id, span_id, self._root_id, start, end, self._described(attributes))

    def at_site(self, site: str, start: float, end: float, error: str | None = None) -> Span:
        """Make the span of a site's whole part in the round, a child of the hub's root."""
        own = self._described({"fedward.site": site})
        return Span("site-round", self.trace_id, self._site_id(site), self._root_id, start, end, own, error)

    def stage(
        self,
        site: str,
        name: str,
        start: float,
        end: float,
        attributes: Mapping[str, Value],
        error: str | None = None,
    ) -> Span:
        """Make the span of one stage of a site's part; a stage may come more than once, at different times."""
        own = self._described({"fedward.site": site, **attributes})
        span_id = self._part_id(name, site, start)
        return Span(name, self.trace_id, span_id, self._site_id(site), start, end, own, error)

    @property
    def _root_id(self) -> bytes:
        return self._digest(_SPAN, "round")[:8]

    def _site_id(self, site: str) -> bytes:
        return self._digest(_SPAN, "site-round", site)[:8]

    def _part_id(self, name: str, site: Value, start: float) -> bytes:
        return self._digest(_SPAN, name, site, start)[:8]

    def _digest(self, *facts: Value) -> bytes:
        return hashlib.sha256(json.dumps([self.job.uid, self.attempt, self.round, *facts]).encode()).digest()

    def _described(self, attributes: Mapping[str, Value]) -> dict[str, Value]:
        name = f"{self.job.namespace}/{self.job.name}"
        return {"fedward.job": name, "fedward.attempt": self.attempt, "fedward.round": self.round, **attributes}
