"""What is approved and what is revoked, as people and as programs read it; saying yes prints what was done."""

from __future__ import annotations

import json
import os
import sys

import pytest

from fedward_cli.approve_command import find
from fedward_cli.main import main

WAITS = {
    "metadata": {"name": "brain-00000000", "namespace": "fedward"},
    "spec": {
        "job": {"namespace": "research", "name": "brain", "uid": "00000000-0000"},
        "site": "north",
        "federation": "example.org",
        "attempt": 1,
        "aggregator": {"address": "hub:443", "serverName": "brain.research.example.org"},
        "plan": "{}",
        "planDigest": "a" * 64,
        "dataset": "brats",
        "resources": {"gpu": {"count": 2}},
    },
    "status": {"conditions": [{"type": "Admitted", "status": "Unknown", "reason": "ApprovalPending"}]},
}


@pytest.fixture
def fedward(tmp_path, monkeypatch, capsys):
    """Run the command with a kubectl that knows one SiteJob, and writes down how it was asked."""
    for name, document in (("list", {"items": [WAITS]}), ("one", WAITS)):
        (tmp_path / name).write_text(json.dumps(document))
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n[ "$1" = get ] || exit 0\n'
        f'case "$3" in brain*) cat {tmp_path}/one;; *) cat {tmp_path}/list;; esac\n'
    )
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["fedward", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().out, (tmp_path / "asked").read_text()

    return run


def test_what_was_revoked_is_given_to_programs_and_nothing_is_asked_of_them(fedward, tmp_path):
    (tmp_path / "asked").touch()
    code, said, asked = fedward("revoke", "site", "north", "-o", "json")
    assert (code, said, asked) == (2, "", "")

    code, said, asked = fedward("revoke", "site", "north", "-o", "json", "--yes")
    assert (code, json.loads(said)) == (0, {"site": "north", "revoked": True, "jobs": ["research/brain"]})
    assert "patch federatedsite north" in asked


def test_what_waits_is_listed_in_every_format(fedward):
    code, people, _ = fedward("approve", "-n", "fedward")
    assert (code, people.splitlines()[0]) == (0, "brain-00000000")
    code, program, _ = fedward("approve", "-n", "fedward", "-o", "json")
    (waits,) = json.loads(program)["waiting"]
    assert (waits["job"]["name"], waits["gpus"], waits["approved"]) == ("brain", 2, False)
    assert waits["digest"] in people


def test_no_word_of_the_hub_can_change_what_a_person_sees():
    spec = {**WAITS["spec"], "job": {**WAITS["spec"]["job"], "uid": "0123)\n  image     fine\x1b[2A"}}
    item = {**WAITS, "spec": spec}
    shown = str(find("brain-00000000", None, lambda arguments, given=None: json.dumps(item)))
    plain = str(find("brain-00000000", None, lambda arguments, given=None: json.dumps(WAITS)))
    assert len(shown.splitlines()) == len(plain.splitlines())
    assert "(0123)   image     fine [2A)" in shown


def test_nobody_is_asked_about_what_was_not_shown(fedward):
    code, said, asked = fedward("approve", "brain-00000000", "-o", "json")
    assert (code, said, "annotate" in asked) == (2, "", False)


def test_a_program_that_approves_gets_what_it_approved_and_nothing_else(fedward):
    code, said, asked = fedward("approve", "brain-00000000", "-n", "fedward", "--yes", "-o", "json")
    approved = json.loads(said)
    assert (code, approved["approved"]) == (0, True)
    assert f"annotate sitejobs.fedward.io brain-00000000 fedward.io/approved-digest={approved['digest']}" in asked
