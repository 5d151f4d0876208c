"""Work orders: believed when the operator signed them, for this site, now; and in no other case."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from fedward_protocol.plan import Exclude, GaussianNoise, JobIdentity, Percentile
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.work_order import MAX_ENVELOPE, Bearer, Budget, WorkOrder, read, sign, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)


def order(**changes: Any) -> WorkOrder:
    fields: dict[str, Any] = {
        "order_id": "order-1",
        "federation": "fed.example",
        "job": JobIdentity(name="brain-tumour", namespace="research", uid="0b1c2d3e"),
        "attempt": 1,
        "site": "north",
        "dataset": "brats",
        "plan_digest": "ab" * 32,
        "aggregator": "hub.example:443",
        "aggregator_name": "brain-tumour.research.fed.example",
        "floor": (Percentile(name="percentile", keep=0.3), Exclude(name="exclude", tensors=("*.norm.*",))),
        "budget": Budget(epsilon=10.0, delta=1e-5),
        "not_before": NOW - timedelta(hours=1),
        "expires": NOW + timedelta(hours=1),
    }
    return WorkOrder(**{**fields, **changes})


def refusal(envelope: bytes, now: datetime = NOW, site: str = "north") -> Reason:
    with pytest.raises(RefusedError) as caught:
        verify(envelope, KEY.public_key(), now, site)
    return caught.value.reason


def sealed(text: str, key: Ed25519PrivateKey = KEY, purpose: bytes = b"fedward work order 1\n") -> bytes:
    signature = base64.b64encode(key.sign(purpose + text.encode())).decode()
    return json.dumps({"order": text, "signature": signature}).encode()


def test_a_signed_order_is_read_back_whole() -> None:
    assert verify(sign(order(), KEY), KEY.public_key(), NOW, "north") == order()


def test_the_same_order_gives_the_same_envelope() -> None:
    assert sign(order(), KEY) == sign(order(), KEY)


def test_defaults_are_spelt_out_so_that_another_version_reads_the_same() -> None:
    noise = GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=1.0)
    assert json.loads(json.loads(sign(order(floor=(noise,)), KEY))["order"])["floor"][0]["delta"] == 1e-5


def test_what_is_exported_is_read_back_and_nothing_is_said_of_it_to_older_versions_where_that_is_nothing() -> None:
    assert verify(sign(order(exports=("gpuUtilisation",)), KEY), KEY.public_key(), NOW, "north").exports == (
        "gpuUtilisation",
    )
    assert "exports" not in json.loads(json.loads(sign(order(), KEY))["order"])


def test_a_trainer_reads_for_whom_a_later_versions_order_is_and_a_gateway_refuses_what_it_does_not_know() -> None:
    said = json.loads(order().model_dump_json(by_alias=True))
    said |= {"shift": "night", "exports": ["temperature"], "floor": [{"name": "later"}], "budget": {"rho": 1}}
    envelope = sealed(json.dumps(said))
    bearer = Bearer(federation="fed.example", job=order().job, attempt=1, site="north")
    assert read(envelope) == bearer
    assert refusal(envelope) is Reason.WORK_ORDER_MALFORMED
    unknown = sealed(json.dumps(json.loads(order().model_dump_json(by_alias=True)) | {"shift": "night"}))
    assert (read(unknown), refusal(unknown)) == (bearer, Reason.WORK_ORDER_MALFORMED)


def test_nothing_can_be_exported_that_is_not_on_the_list() -> None:
    with pytest.raises(ValidationError, match="casesPerSecond"):
        order(exports=("gpuMemoryUsed",))


def test_another_operators_signature_is_a_forgery() -> None:
    assert refusal(sign(order(), Ed25519PrivateKey.generate())) is Reason.WORK_ORDER_FORGED


def test_a_signature_made_for_another_purpose_is_a_forgery() -> None:
    assert refusal(sealed(order().model_dump_json(by_alias=True), purpose=b"")) is Reason.WORK_ORDER_FORGED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("north", "south"),
        ('\\"keep\\":0.3', '\\"keep\\":1.0'),
        ('\\"epsilon\\":10.0', '\\"epsilon\\":99.0'),
        ('\\"attempt\\":1', '\\"attempt\\":2'),
        ("hub.example:443", "bad.example:443"),
        ("2026-03-01T13", "2036-03-01T13"),
    ],
)
def test_an_altered_order_is_a_forgery(before: str, after: str) -> None:
    envelope = sign(order(), KEY).decode()
    assert before in envelope
    assert refusal(envelope.replace(before, after).encode(), site=after) is Reason.WORK_ORDER_FORGED


@given(st.integers(0, 2000), st.integers(1, 255))
@settings(max_examples=200)
def test_no_flipped_byte_passes(place: int, flip: int) -> None:
    envelope = bytearray(sign(order(), KEY))
    envelope[place % len(envelope)] ^= flip
    try:
        read = verify(bytes(envelope), KEY.public_key(), NOW, "north")
    except RefusedError:
        return
    # A flip may change only how the JSON around the two texts is spelt, which nobody signed.
    assert read == order()


@pytest.mark.parametrize(
    ("at", "valid"),
    [
        (timedelta(hours=-1, microseconds=-1), False),
        (timedelta(hours=-1), True),
        (timedelta(hours=1, microseconds=-1), True),
        (timedelta(hours=1), False),
    ],
    ids=["just before it begins", "as it begins", "just before it ends", "as it ends"],
)
def test_an_order_holds_from_its_beginning_until_its_end(at: timedelta, valid: bool) -> None:
    envelope = sign(order(), KEY)
    if valid:
        assert verify(envelope, KEY.public_key(), NOW + at, "north")
    else:
        assert refusal(envelope, NOW + at) is Reason.WORK_ORDER_EXPIRED


@pytest.mark.parametrize(("hours", "hint"), [(-2, True), (2, False)])
def test_an_order_that_begins_later_points_at_the_clock(hours: int, hint: bool) -> None:
    with pytest.raises(RefusedError) as caught:
        verify(sign(order(), KEY), KEY.public_key(), NOW + timedelta(hours=hours), "north")
    assert ("; it begins later by this machine's clock, so check the clock" in caught.value.detail) is hint


def test_an_order_for_another_site_does_not_fit() -> None:
    assert refusal(sign(order(), KEY), site="south") is Reason.WORK_ORDER_MISMATCH


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"order":1,"signature":"AA=="}',
        b'{"order":"x","signature":1}',
        b'{"order":"x","signature":"not base64!"}',
        b'{"order":"\\ud800","signature":"AA=="}',
        b'{"order":"x","signature":"AA==","more":1}',
        b"[" * 4000,
        b" " * (MAX_ENVELOPE + 1),
        sealed("not json"),
        sealed("{}"),
        sealed('{"orderId":"x","unknown":1}'),
    ],
)
def test_what_cannot_be_read_is_malformed(envelope: bytes) -> None:
    assert refusal(envelope) is Reason.WORK_ORDER_MALFORMED


def test_a_signed_order_with_an_unknown_field_is_not_read_without_it() -> None:
    text = order().model_dump_json(by_alias=True)
    assert refusal(sealed(text[:-1] + ',"alsoAllowed":true}')) is Reason.WORK_ORDER_MALFORMED


def test_an_order_too_long_to_travel_is_not_signed() -> None:
    patterns = tuple(f"{index:03}" + "x" * 200 for index in range(30))
    with pytest.raises(ValueError, match="4096 at most"):
        sign(order(floor=(Exclude(name="exclude", tensors=patterns),)), KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": NOW - timedelta(hours=1)},
        {"expires": datetime(2026, 3, 2)},
        {"plan_digest": "AB" * 32},
        {"attempt": 0},
        {"aggregator": "hub.example"},
    ],
    ids=["ends as it begins", "no time zone", "an upper-case digest", "attempt 0", "no port"],
)
def test_an_order_that_makes_no_sense_cannot_be_made(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        order(**changes)
