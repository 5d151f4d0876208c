"""How a ConfigMap's keys, which cannot hold slashes, become a bundle's folders."""

from __future__ import annotations

import pytest

from fedward_operator.api import ConfigMap
from fedward_operator.hub.bundle import bundle_of
from fedward_operator.hub.findings import UnresolvableError


def config_map(**files: str) -> ConfigMap:
    named = {name.replace("__", "."): text for name, text in files.items()}
    return ConfigMap.model_validate(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "bundle"}, "data": named}
    )


def test_configurations_and_scripts_go_where_monai_looks_for_them() -> None:
    bundle = bundle_of(config_map(train__json="{}", metadata__json="{}", losses__py="x = 1"))

    assert sorted(bundle.files) == [
        "configs/metadata.json",
        "configs/train.json",
        "scripts/losses.py",
    ]


def test_a_file_that_fits_nowhere_is_refused_by_name() -> None:
    with pytest.raises(UnresolvableError, match=r"data\.weights\.pt: cannot tell where in a bundle it belongs"):
        bundle_of(config_map(weights__pt="", train__json="{}"))


def test_a_configuration_in_yaml_is_refused_before_any_trainer_would() -> None:
    with pytest.raises(UnresolvableError, match=r"data\.train\.yaml: write configurations as JSON"):
        bundle_of(config_map(train__yaml="a: 1"))


def test_an_empty_config_map_is_refused() -> None:
    with pytest.raises(UnresolvableError, match="holds no file of a bundle"):
        bundle_of(config_map())


def test_what_the_api_server_would_not_store_is_refused_here_too() -> None:
    with pytest.raises(UnresolvableError, match="a ConfigMap takes 1048576"):
        bundle_of(config_map(train__json="x" * 600_000, other__json="x" * 600_000))
