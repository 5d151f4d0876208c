"""SPIFFE identities: four roles, one spelling each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_protocol.identity import Identity, aggregator_name, gateway_name
from fedward_protocol.reasons import Reason, RefusedError

segments = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
federations = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,30}[a-z0-9])?", fullmatch=True)
identities = st.builds(Identity, federations, st.just("hub")) | st.builds(
    Identity, federations, st.sampled_from(["site", "job", "observer"]), segments
)


@given(identities)
def test_an_identity_is_read_back_from_its_uri(identity: Identity) -> None:
    assert Identity.parse(identity.uri) == identity


def test_the_uris_are_those_that_certificates_hold() -> None:
    assert Identity("fed.example", "site", "north").uri == "spiffe://fed.example/site/north"
    assert Identity("fed.example", "job", "0b1c-2d").uri == "spiffe://fed.example/job/0b1c-2d"
    assert Identity("fed.example", "observer", "0b1c-2d").uri == "spiffe://fed.example/observer/0b1c-2d"
    assert Identity("fed.example", "hub").uri == "spiffe://fed.example/hub"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://fed.example/site/north",
        "spiffe://fed.example",
        "spiffe://fed.example/",
        "spiffe://fed.example/site",
        "spiffe://fed.example/site/",
        "spiffe://fed.example/site/north/",
        "spiffe://fed.example/site/north/south",
        "spiffe://fed.example/site/North",
        "spiffe://fed.example/site/nor th",
        "spiffe://fed.example/site/north\n",
        "spiffe://fed.example/hub/north",
        "spiffe://fed.example/observer",
        "spiffe://fed.example/admin/north",
        "spiffe://Fed.example/hub",
        "spiffe://fed.example:443/hub",
        "spiffe://user@fed.example/hub",
        "spiffe:///hub",
        "spiffe://-/hub",
        "spiffe://fed.example/site/" + "a" * 64,
        "spiffe://" + "a" * 254 + "/hub",
        "spiffe://fed.example/site/" + "a" * 5000,
    ],
)
def test_anything_else_is_no_identity(uri: str) -> None:
    with pytest.raises(RefusedError) as caught:
        Identity.parse(uri)
    assert caught.value.reason is Reason.IDENTITY_MISMATCH


@given(st.text(max_size=40).map(lambda tail: f"spiffe://fed.example/{tail}"))
def test_whatever_is_read_is_written_the_same(uri: str) -> None:
    try:
        assert Identity.parse(uri).uri == uri
    except RefusedError as error:
        assert error.reason is Reason.IDENTITY_MISMATCH  # noqa: PT017 (refused or read: both are right)


def test_a_hub_has_no_name_and_the_others_have_one() -> None:
    for role, name in (("hub", "x"), ("site", ""), ("job", "")):
        with pytest.raises(RefusedError):
            Identity("fed.example", role, name)  # type: ignore[arg-type]


def test_servers_are_met_by_names_below_the_federations() -> None:
    assert gateway_name("north", "fed.example") == "gateway.north.fed.example"
    assert aggregator_name("brain-tumour", "research", "fed.example") == "brain-tumour.research.fed.example"
