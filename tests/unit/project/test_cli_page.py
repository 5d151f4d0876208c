"""The page about the command says which namespace and output each takes, and which rights it needs, as they are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from fedward_cli.main import app

ROOT = Path(__file__).resolve().parents[3]
PAGE = (ROOT / "docs/cli.md").read_text()
ROLES = ROOT / "cli/fedward_cli/cluster/rights/researcher.yaml"

Right = tuple[str, str]
"""A verb and a plural."""


def commands(at: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, each in getattr(at, "commands", {}).items():
        yield from commands(each, f"{path} {name}".strip())
    if not hasattr(at, "commands"):
        yield path, at


def test_what_is_said_of_the_namespace_holds_for_every_command_that_takes_one() -> None:
    (said,) = re.findall(r"^`-n` names the namespace\. (.*)$", PAGE, re.MULTILINE)
    kubectls, releases = (set(re.findall(r"`([a-z ]+)`", part)) for part in said.split(";"))
    defaults = {
        path: option.default
        for path, each in commands(typer.main.get_command(app))
        for option in each.params
        if "--namespace" in option.opts
    }
    assert {path for path, default in defaults.items() if default is None} == kubectls
    assert {path for path, default in defaults.items() if default == "fedward"} == releases - {"fedward"}


def test_the_commands_that_are_said_to_print_documents_are_those_that_do() -> None:
    (said,) = re.findall(r"^`-o json` and `-o yaml` print one document: (.*?) for each line$", PAGE, re.MULTILINE)
    take_it = {
        path
        for path, each in commands(typer.main.get_command(app))
        if any("--output" in option.opts for option in each.params)
    }
    assert take_it == set(re.findall(r"`([a-z ]+)`", said))


def rights_of(command: str) -> set[Right]:
    """Read a row: `get and list `pods`, create `pods/exec``."""
    (row,) = re.findall(rf"^\| `{command}` \| (.*) \|$", PAGE, re.MULTILINE)
    found = re.findall(r"((?:(?:get|list|watch|create|delete)(?:, | and | ))+)`([a-z./]+)`", row)
    return {(verb, plural) for verbs, plural in found for verb in re.findall(r"[a-z]+", verbs) if verb != "and"}


def test_a_report_needs_what_making_awaiting_and_reading_its_pod_takes() -> None:
    looking = {("get", "federatedjobs"), ("list", "pods"), ("list", "jobs.batch")}
    pod = {(verb, "pods") for verb in ("create", "delete")}
    waiting = {(verb, "pods") for verb in ("get", "list", "watch")}
    reading = {("get", "pods"), ("create", "pods/exec")}
    assert rights_of("report") == looking | pod | waiting | reading


@pytest.mark.parametrize("command", ["watch", "report"])
def test_what_a_command_needs_is_granted_to_researchers(command: str) -> None:
    granted = {
        (verb, f"{plural}.{group}" if group == "batch" else plural)
        for role in yaml.safe_load_all(ROLES.read_text())
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for plural in rule["resources"]
        for verb in rule["verbs"]
    }
    assert rights_of(command) <= granted
