"""`kubectl fedward`: its name, kubectl's options wherever they stand, and what kubectl says when it says no."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedward_cli.cluster import kubectl as module
from fedward_cli.cluster.kubectl import (
    AwayError,
    ClusterError,
    ForbiddenError,
    KindUnknownError,
    error_of,
    kubectl,
    piped,
    streamed,
)
from fedward_cli.plugin import hoisted, program_name


@pytest.mark.parametrize(
    ("words", "moved"),
    [
        (["watch", "brain"], ["watch", "brain"]),
        (["watch", "brain", "--context", "hub"], ["--context", "hub", "watch", "brain"]),
        (["sites", "--kubeconfig=/k", "-o", "json"], ["--kubeconfig", "/k", "sites", "-o", "json"]),
        (["sites", "--context"], ["--context", "", "sites"]),
        (["sites", "--kubeconfig="], ["--kubeconfig", "", "sites"]),
        (["phantom", "--", "--context", "x"], ["phantom", "--", "--context", "x"]),
    ],
)
def test_kubectls_options_are_read_wherever_they_stand(words, moved):
    assert hoisted(words) == moved


def test_it_is_called_as_it_was():
    assert program_name("/usr/local/bin/kubectl-fedward") == "kubectl fedward"
    assert program_name("/usr/local/bin/fedward") == "fedward"


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a kubectl on the PATH; give what writes it."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(module, "_context", [])

    def write(text):
        (tmp_path / "kubectl").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "kubectl").chmod(0o755)

    return write


def test_every_kubectl_of_a_command_talks_to_the_context_that_was_named(fake, tmp_path):
    fake(f'echo "$KUBECONFIG $@" >> {tmp_path}/asked; echo \'{{"items": []}}\'')
    command = [sys.executable, "-m", "fedward_cli.main", "sites", "--context", "hub", "--kubeconfig", "/k"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.startswith("nobody is invited yet")
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked
    assert all(line.startswith("/k --context hub get ") for line in asked)


@pytest.mark.parametrize("words", [["--context"], ["--kubeconfig="], ["--context", ""]])
def test_an_option_of_kubectls_without_its_value_is_bad_input(fake, words):
    fake("echo '{\"items\": []}'")
    command = [sys.executable, "-m", "fedward_cli.main", "sites", *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    option = words[0].removesuffix("=")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {option} needs a value\n")


@pytest.mark.parametrize(
    ("said", "kind", "words"),
    [
        (
            'Error from server (Forbidden): x is forbidden: User "ada" cannot list resource "sitejobs" in API '
            'group "fedward.io" in the namespace "research"',
            ForbiddenError,
            "the right to list sitejobs in the namespace research is missing",
        ),
        (
            'Error from server (Forbidden): pods "x" is forbidden: User "ada" cannot create resource "pods/exec" '
            'in API group "" in the namespace "research"',
            ForbiddenError,
            "the right to create pods/exec in the namespace research",
        ),
        (
            'Error from server (Forbidden): x is forbidden: User "ada" cannot list resource "federatedsites" in API '
            'group "fedward.io" at the cluster scope',
            ForbiddenError,
            "the right to list federatedsites in the whole cluster",
        ),
        ('error: the server doesn\'t have a resource type "fjob"', KindUnknownError, "resource type"),
        (
            "E0301 12:00:00 noise\nUnable to connect to the server: EOF",
            AwayError,
            "^Unable to connect to the server: EOF$",
        ),
        ("The connection to the server localhost:8080 was refused - did you", AwayError, "was refused"),
        ("error: invalid configuration: no configuration has been provided", AwayError, "no configuration"),
        ("error: You must be logged in to the server (Unauthorized)", ClusterError, "Unauthorized"),
        ("", ClusterError, "kubectl ended with 7"),
    ],
)
def test_what_kubectl_says_becomes_an_error_that_says_what_is_missing(said, kind, words):
    error = error_of(said, 7)
    assert type(error) is kind
    with pytest.raises(kind, match=words):
        raise error


def test_lines_come_while_kubectl_still_runs_and_it_ends_with_the_block(fake):
    fake("echo one; exec sleep 600")
    with streamed(["logs"]) as lines:
        assert next(lines) == "one"


def test_a_line_ends_at_a_newline_only_and_bytes_that_are_no_text_stop_nothing(fake):
    fake(r"printf '[pod/a/trainer] x\r[pod/b/gateway] y\n\377z\n'")
    with streamed(["logs"]) as lines:
        assert list(lines) == ["[pod/a/trainer] x\r[pod/b/gateway] y", "\ufffdz"]
    assert kubectl(["get"]).endswith("\n\ufffdz\n")


def test_a_stream_that_ends_badly_says_why_after_its_lines(fake):
    fake("echo one; echo gone >&2; exit 1")
    with streamed(["logs"]) as lines:
        assert next(lines) == "one"
        with pytest.raises(ClusterError, match="gone"):
            next(lines)


def test_bytes_are_given_as_they_are_and_why_there_are_none_is_kubectls_word(fake):
    fake("printf 'a\\000b'")
    with piped(["exec"]) as output:
        assert output.read() == b"a\x00b"
    fake("echo no such pod >&2; exit 1")
    with pytest.raises(ClusterError, match="no such pod"), piped(["exec"]) as output:
        raise ValueError(output.read())


def test_without_kubectl_that_is_said(monkeypatch):
    monkeypatch.setenv("PATH", "")
    absent = "needs kubectl on the PATH"
    with pytest.raises(ClusterError, match=absent):
        kubectl(["version"])
    for running in (streamed(["version"]), piped(["version"])):
        with pytest.raises(ClusterError, match=absent), running:
            pass


def test_the_entry_points_are_there():
    scripts = Path(__file__).parents[3].joinpath("pyproject.toml").read_text()
    assert 'kubectl-fedward = "fedward_cli.main:main"' in scripts
    assert 'kubectl_complete-fedward = "fedward_cli.main:complete_for_kubectl"' in scripts
