"""Where a trainer is told that its gateway is."""

from __future__ import annotations

import pytest

from fedward_node.trainer.main import _parser

REST = ["--plan", "p", "--work-order", "w", "--data", "d", "--state", "s", "--gateway-ca", "c"]


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("10.96.0.12:8443", "10.96.0.12:8443"),
        ("fedward-gateway.fedward.svc:8443", "fedward-gateway.fedward.svc:8443"),
        ("fd00:10:96::c:8443", "[fd00:10:96::c]:8443"),
        ("[fd00:10:96::c]:8443", "[fd00:10:96::c]:8443"),
    ],
)
def test_an_address_may_be_of_either_kind(told: str, meant: str) -> None:
    assert _parser().parse_args(["run", *REST, "--gateway", told]).gateway == meant


@pytest.mark.parametrize("told", ["gateway", "gateway:", ":8443", "gateway:https"])
def test_what_is_no_address_is_refused_in_words(told: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parser().parse_args(["run", *REST, "--gateway", told])
    assert f'"{told}" is no address; write it as host:port' in capsys.readouterr().err
