"""What the operator says of arguments that it cannot use."""

from __future__ import annotations

import pytest

from fedward_operator.main import _parser

HUB = ["hub", "--federation=f", "--namespace=n", "--door=d:1", "--authority-secret=a", "--aggregator-image=a"]
REST = ["--trainer-image=t", "--metrics=127.0.0.1:0"]


def test_who_may_scrape_is_read_as_a_network_policy_has_it():
    given = '[{"namespaceSelector": {"matchLabels": {"team": "watch"}}}]'
    assert _parser().parse_args([*HUB, *REST, f"--scrapers={given}"]).scrapers == [
        {"namespaceSelector": {"matchLabels": {"team": "watch"}}}
    ]
    assert _parser().parse_args([*HUB, *REST]).scrapers == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--scrapers=monitoring", "argument --scrapers: this is no JSON"),
        ('--scrapers={"namespaceSelector": {}}', "argument --scrapers: write a JSON list of peers, for example"),
        ('--scrapers=["monitoring"]', "argument --scrapers: write a JSON list of peers, for example"),
        ("--scrapers=[{}]", "argument --scrapers: write a JSON list of peers, for example"),
        ("--tracing-egress=[{}]", "argument --tracing-egress: write a JSON list of egress rules, for example"),
    ],
)
def test_anything_else_is_refused_with_an_example(given, said, capsys):
    with pytest.raises(SystemExit):
        _parser().parse_args([*HUB, *REST, given])
    assert said in capsys.readouterr().err
