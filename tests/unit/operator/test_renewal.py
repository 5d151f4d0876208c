"""When a site renews its token and its certificate."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.policy.joining.renewal import Life, account_of, of_certificate, of_token
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def token(claims: object) -> str:
    parts = [{"alg": "RS256"}, claims]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*encoded, "signature"])


def claims(hours: float) -> dict[str, int]:
    return {"iat": int(NOON.timestamp()), "exp": int((NOON + timedelta(hours=hours)).timestamp())}


def test_a_token_is_renewed_at_two_thirds_of_its_life():
    life = of_token(token(claims(24)))

    assert life.renew_at() == NOON + timedelta(hours=16)
    assert not life.is_over(NOON + timedelta(hours=23.9))
    assert life.is_over(NOON + timedelta(hours=24))


def test_a_token_of_a_long_life_is_renewed_daily_so_that_its_life_is_for_a_hub_that_is_away():
    life = of_token(token(claims(7 * 24)))

    assert life.renew_at() == NOON + timedelta(days=1)
    assert not life.is_over(NOON + timedelta(days=6.9))


def test_a_token_says_which_account_it_dies_with():
    assert account_of(token({"kubernetes.io": {"serviceaccount": {"name": "fedward-site", "uid": "0c1d"}}})) == "0c1d"
    for other in ("", "secret", "a.secret.c", token([]), token({"kubernetes.io": {}}), token(None)):
        with pytest.raises(ValueError, match="no token of a service account") as error:
            account_of(other)
        assert "secret" not in str(error.value)


def test_a_certificate_is_renewed_at_two_thirds_of_its_life():
    authority = Authority.create("fed.example.org", NOON)
    issued = authority.issue(Identity("fed.example.org", "site", "north"), ["n"], NOON, timedelta(days=30))
    life = of_certificate(issued.cert_pem)

    assert life.ends == NOON + timedelta(days=30)
    assert NOON + timedelta(days=19) < life.renew_at() <= NOON + timedelta(days=20)


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=4000)))
def test_a_third_of_the_life_is_left_for_trying(length):
    life = Life(NOON, NOON + length)

    assert life.begins < life.renew_at() < life.ends
    assert life.ends - life.renew_at() >= length / 3.001


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "a.secret.c",
        token([]),
        token({}),
        token({"iat": 1}),
        token({"iat": 1, "exp": "secret"}),
        token({"iat": 1, "exp": 10**30}),
        token(None),
    ],
)
def test_what_is_no_token_is_said_without_being_quoted(text):
    with pytest.raises(ValueError, match="no token of a service account") as error:
        of_token(text)

    assert "secret" not in str(error.value)
    assert error.value.__suppress_context__


@given(st.text())
def test_no_text_breaks_anything_else(text):
    with pytest.raises(ValueError, match="no token"):
        of_token(f"a.{text}.c")
