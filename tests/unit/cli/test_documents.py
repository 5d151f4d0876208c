"""What a good file means, traps of YAML included; every example is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedward_cli.documents import load_documents
from fedward_cli.yaml_lines import read_value

Write = Callable[[str], Path]
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid_and_resolves(example: Path) -> None:
    plan = load_documents(example).plan()

    assert plan.rounds.quorum <= len(plan.sites)


def test_the_demo_example_is_the_demo() -> None:
    documents = load_documents(next(path for path in EXAMPLES if path.name == "brain-tumour.yaml"))
    plan = documents.plan()

    assert plan.sites == ("east", "north", "south", "west")
    assert (plan.rounds.count, plan.training.local_epochs, plan.rounds.quorum) == (6, 4, 3)
    assert plan.training.optimizer.lr == 2e-3
    assert documents.data_folder("east").parts[-3:] == ("data", "phantom", "east")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("2E3", 2000.0),
        (".5", 0.5),
        ("-7", -7),
        ("0x1F", 31),
        ("0o17", 15),
        ("017", 17),
        ("no", "no"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("true", True),
        ("~", None),
        ("", None),
        ('"1e-4"', "1e-4"),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_scalars_mean_what_they_mean_to_the_api_server(text: str, value: object) -> None:
    read = read_value(text)

    assert read == value
    assert type(read) is type(value)


def test_host_paths_start_at_the_files_folder(good: str, write: Write) -> None:
    path = write(good)

    assert load_documents(path).data_folder("north") == path.parent / "data" / "north"


def test_options_change_the_spec_before_it_is_validated(good: str, write: Write) -> None:
    overrides = ["rounds.count=5", "training.optimizer.lr=1e-3", "sites.names=[north]", "rounds.quorum=1"]

    plan = load_documents(write(good), overrides).plan()

    assert (plan.rounds.count, plan.training.optimizer.lr, plan.sites) == (5, 1e-3, ("north",))


def test_a_later_option_wins(good: str, write: Write) -> None:
    assert load_documents(write(good), ["rounds.count=5", "rounds.count=7"]).plan().rounds.count == 7


def test_options_can_add_filters(good: str, write: Write) -> None:
    overrides = ["privacy.filters[0].name=percentile", "privacy.filters[0].keep=0.2"]

    assert load_documents(write(good), ["privacy.filters=[{}]", *overrides]).plan().privacy.filters[0].name


def test_a_bundle_is_laid_out_from_its_config_map(good: str, write: Write) -> None:
    config_map = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: glioma-bundle, namespace: research}
data:
  train.json: |
    {"epochs": 1}
  losses.py: |
    x = 1
"""
    text = good.replace("network: {name: UNet}", "bundle: {configMap: glioma-bundle}") + config_map

    bundle = load_documents(write(text)).plan().model.bundle

    assert bundle is not None
    assert bundle.files == {"configs/train.json": '{"epochs": 1}\n', "scripts/losses.py": "x = 1\n"}


def test_the_uid_alone_tells_two_runs_of_a_file_apart(good: str, write: Write) -> None:
    documents = load_documents(write(good))

    assert documents.plan("one-00000").digest() == documents.plan("one-00000").digest()
    assert documents.plan("one-00000").digest() != documents.plan("two-00000").digest()
