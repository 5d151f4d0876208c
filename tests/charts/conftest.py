"""What the charts' tests need: helm, and a switch that accepts what is rendered now."""

from __future__ import annotations

import pytest
from tests.charts.helm import MISSING, helm


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-snapshots", action="store_true", help="accept what the charts render now")


@pytest.fixture(autouse=True)
def _helm() -> None:
    if helm() is None:
        pytest.skip(MISSING)
