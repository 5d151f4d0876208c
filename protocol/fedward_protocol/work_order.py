"""The work order: what a hospital's operator admitted, signed, so that its gateway can believe a trainer."""

from __future__ import annotations

import base64
import binascii
import json
from datetime import datetime
from typing import Annotated, Literal, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from fedward_protocol.plan import Filter, Frozen, JobIdentity, Name
from fedward_protocol.reasons import Reason, RefusedError

METADATA_KEY = "fedward-work-order-bin"
"""The call metadata in which a trainer shows its work order."""

MAX_ENVELOPE = 4096
"""Bytes of a signed work order at most: it travels in the headers of every call."""

# Signed along with the order, so that a signature made by this key for another purpose can never pass as one.
_PURPOSE = b"fedward work order 1\n"

Federation = Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}$")]
Attempt = Annotated[int, Field(ge=1)]

Export = Literal["casesPerSecond", "gpuUtilisation"]
"""A number on a trainer's progress that a hospital may let the hub see, and by default does not."""


class Budget(Frozen):
    """What the hospital lets out of a dataset in total, over all jobs; no epsilon means no limit, only book-keeping."""

    epsilon: Annotated[float, Field(ge=0)] | None = None
    delta: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Bearer(Frozen):
    """Whom an order is made out for: all that a trainer needs of its own, so it can read later versions' orders."""

    model_config = ConfigDict(extra="ignore")

    federation: Federation
    job: JobIdentity
    attempt: Attempt
    site: Name


class WorkOrder(Frozen):
    """One trainer's permission: this plan, this attempt, at this site, on this dataset, towards this aggregator."""

    order_id: Annotated[str, Field(min_length=1, max_length=64)]
    federation: Federation
    job: JobIdentity
    attempt: Attempt
    site: Name
    dataset: Name
    plan_digest: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """SHA-256 of the plan's canonical form, in hexadecimal."""
    aggregator: Annotated[str, Field(pattern=r"^[^\s/]{1,253}:[0-9]{1,5}$")]
    """Where to connect: host:port."""
    aggregator_name: Annotated[str, Field(min_length=1, max_length=253)]
    """The TLS server name that the aggregator's certificate holds."""
    floor: Annotated[tuple[Filter, ...], Field(max_length=16)] = ()
    """The hospital's own filters, applied after whatever the plan asks for."""
    budget: Budget | None = None
    exports: Annotated[tuple[Export, ...], Field(max_length=2)] = ()
    """What the gateway passes on of the trainer's vitals."""
    not_before: AwareDatetime
    expires: AwareDatetime

    @model_validator(mode="after")
    def _expires_after_it_begins(self) -> WorkOrder:
        if self.expires <= self.not_before:
            raise ValueError("a work order expires after it begins")
        return self


def sign(order: WorkOrder, key: Ed25519PrivateKey) -> bytes:
    """Return the envelope: JSON that holds the order's text and the signature over it.

    Raises:
        ValueError: the order is too long to travel; shorten the floor's patterns.
    """
    # Defaults are spelt out: they may differ in the gateway's version of this software. Not the exports': where there
    # are none, trainers and gateways of the version before, which do not know the word, have to read the order too.
    text = order.model_dump_json(by_alias=True, exclude=None if order.exports else {"exports"})
    signature = base64.b64encode(key.sign(_PURPOSE + text.encode())).decode()
    envelope = json.dumps({"order": text, "signature": signature}, separators=(",", ":"), ensure_ascii=False).encode()
    if len(envelope) > MAX_ENVELOPE:
        raise ValueError(f"the work order takes {len(envelope)} bytes, {MAX_ENVELOPE} at most can travel")
    return envelope


def verify(envelope: bytes, key: Ed25519PublicKey, now: datetime, site: str) -> WorkOrder:
    """Return the order if the operator signed it, for this site, and it is valid at `now`.

    Nothing of the order is looked at before its signature has been found good.

    Raises:
        RefusedError: WORK_ORDER_MALFORMED, WORK_ORDER_FORGED, WORK_ORDER_EXPIRED or WORK_ORDER_MISMATCH.
    """
    text, signature = _open_envelope(envelope)
    try:
        key.verify(signature, _PURPOSE + text)
    except InvalidSignature as error:
        raise RefusedError(Reason.WORK_ORDER_FORGED) from error
    try:
        order = WorkOrder.model_validate_json(text)
    except ValidationError as error:
        _refuse_as_malformed(error)
    if not order.not_before <= now < order.expires:
        detail = f"valid from {order.not_before.isoformat()} until {order.expires.isoformat()}, now {now.isoformat()}"
        clock = "; it begins later by this machine's clock, so check the clock" if now < order.not_before else ""
        raise RefusedError(Reason.WORK_ORDER_EXPIRED, detail + clock)
    if order.site != site:
        raise RefusedError(Reason.WORK_ORDER_MISMATCH, f"made out for {order.site}, this is {site}")
    return order


def read(envelope: bytes) -> Bearer:
    """Return whom an envelope is for, without believing it: for the trainer, which holds its own order and no key.

    Whatever else the order says is passed over: the gateway reads that, whose version is the operator's.

    Raises:
        RefusedError: WORK_ORDER_MALFORMED.
    """
    text, _ = _open_envelope(envelope)
    try:
        return Bearer.model_validate_json(text)
    except ValidationError as error:
        _refuse_as_malformed(error)


def _open_envelope(envelope: bytes) -> tuple[bytes, bytes]:
    if len(envelope) > MAX_ENVELOPE:
        raise RefusedError(Reason.WORK_ORDER_MALFORMED, f"longer than {MAX_ENVELOPE} bytes")
    try:
        document = json.loads(envelope.decode("utf-8"))
        if not isinstance(document, dict) or document.keys() != {"order", "signature"}:
            raise ValueError("not an envelope")
        return document["order"].encode(), base64.b64decode(document["signature"], validate=True)
    except (ValueError, RecursionError, AttributeError, TypeError, binascii.Error) as error:
        _refuse_as_malformed(error)


def _refuse_as_malformed(error: Exception) -> NoReturn:
    raise RefusedError(Reason.WORK_ORDER_MALFORMED) from error
