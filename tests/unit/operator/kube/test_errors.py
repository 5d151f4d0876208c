"""What is read from an error's body, which may come from anything between us and the API server."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.kube.errors import ApiError, status_message


def test_a_status_gives_reason_message_and_wait():
    body = {"kind": "Status", "reason": "TooManyRequests", "message": "wait", "details": {"retryAfterSeconds": 7}}

    assert status_message(json.dumps(body).encode()) == ("TooManyRequests", "wait", 7)


def test_what_is_no_status_is_the_message_itself_cut_short():
    assert status_message(b"<html>502 Bad Gateway</html>") == ("", "<html>502 Bad Gateway</html>", None)
    assert len(status_message(b"x" * 10_000)[1]) == 200


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff\xfe\x00", id="no text"),
        pytest.param(b"null", id="null"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b'"Forbidden"', id="a string"),
        pytest.param(b'{"details": [1]}', id="details that are a list"),
        pytest.param(b'{"details": "soon"}', id="details that are a string"),
        pytest.param(b'{"details": {"retryAfterSeconds": "soon"}}', id="a wait that is no number"),
        pytest.param(b'{"details": {"retryAfterSeconds": true}}', id="a wait that is a truth"),
        pytest.param(b'{"details": {"retryAfterSeconds": NaN}}', id="a wait that is not a number"),
        pytest.param(b'{"details": {"retryAfterSeconds": -5}}', id="a wait in the past"),
        pytest.param(b'{"reason": 5, "message": {"a": 1}}', id="words that are none"),
        pytest.param(b'{"reason": null, "message": null}', id="words that are null"),
        pytest.param(b"[" * 100_000, id="deeper than a parser goes"),
        pytest.param(b'{"a":' * 100_000, id="deeper objects than a parser goes"),
    ],
)
def test_garbage_becomes_words_and_no_wait(body):
    reason, message, wait = status_message(body)

    assert isinstance(reason, str)
    assert isinstance(message, str)
    assert wait is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
STATUS = st.fixed_dictionaries(
    {}, optional={"reason": JSON, "message": JSON, "details": JSON | st.fixed_dictionaries({"retryAfterSeconds": JSON})}
)


@given(st.one_of(st.binary(), STATUS.map(lambda each: json.dumps(each).encode())))
def test_whatever_the_body_is_it_can_be_raised_and_waited_for(body):
    reason, message, wait = status_message(body)
    error = ApiError(429, reason, message, wait)

    assert f"429 {reason}: {message}" == str(error)
    assert wait is None or 0 <= min(wait, 15.0) <= 15


@pytest.mark.parametrize(
    ("code", "is_final"),
    [
        (400, True),
        (401, False),
        (403, True),
        (404, False),
        (409, False),
        (410, False),
        (422, True),
        (429, False),
        (500, False),
        (503, False),
    ],
)
def test_asking_again_helps_except_where_the_request_itself_is_refused(code, is_final):
    assert ApiError(code, "", "").is_final is is_final
