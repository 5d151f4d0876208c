from __future__ import annotations

import pytest

from fedward_cli.metrics_address import is_address
from fedward_cli.optional_value import fill_in


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ("--metrics", "--metrics=D"),
        ("job.yaml --metrics", "job.yaml --metrics=D"),
        ("--metrics job.yaml", "--metrics=D job.yaml"),
        ("--metrics --out x job.yaml", "--metrics=D --out x job.yaml"),
        ("--metrics localhost:9000 job.yaml", "--metrics localhost:9000 job.yaml"),
        ("job.yaml --metrics [::1]:9000", "job.yaml --metrics [::1]:9000"),
        ("--metrics=0.0.0.0:9000 job.yaml", "--metrics=0.0.0.0:9000 job.yaml"),
        ("job.yaml", "job.yaml"),
        ("-- --metrics", "-- --metrics"),
    ],
)
def test_an_option_that_stands_alone_gets_its_default(given, filled):
    assert fill_in(given.split(), "--metrics", "D", is_address) == filled.split()


@pytest.mark.parametrize("text", ["job.yaml", "9464", ":9464", "host:", "host:99999", "host:port", "a b:1", ""])
def test_what_is_no_address(text):
    assert not is_address(text)
