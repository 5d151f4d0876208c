"""What a shell is offered while a command is typed, and that real bash takes it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from fedward_cli.completion import candidates
from fedward_cli.main import app

PROGRAM = typer.main.get_command(app)


def offered(*words, known=("brain", "breast", "other")):
    asked = []

    def names(kind, namespace):
        asked.append((kind.partition(".")[0], namespace))
        return known

    return candidates(PROGRAM, words, names), asked


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["des"], ["describe"]),
        (["authority", ""], ["rotate", "show"]),
        (["logs", "--s"], ["--since", "--site"]),
        (["plan", "-o", "j"], ["json"]),
        (["plan", "--output", ""], ["json", "text", "yaml"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["doctor", "h"], ["hub"]),
        (["invite", "no"], []),
        (["no-such-command", "x", ""], []),
    ],
)
def test_commands_options_and_their_words_are_offered_without_asking_the_cluster(words, found):
    assert offered(*words) == (found, [])


@pytest.mark.parametrize(
    ("words", "found", "asked"),
    [
        (["watch", "br"], ["brain", "breast"], ("federatedjobs", None)),
        (["watch", "-n", "research", "br"], ["brain", "breast"], ("federatedjobs", "research")),
        (["watch", "--namespace=research", "o"], ["other"], ("federatedjobs", "research")),
        (["logs", "brain", "-f", "--site", "br"], ["brain", "breast"], ("federatedsites", None)),
        (["logs", "-n", "research", "brain", "--site", "o"], ["other"], ("federatedsites", None)),
        (["revoke", "site", "b"], ["brain", "breast"], ("federatedsites", None)),
        (["approve", "-n", "fedward", "b"], ["brain", "breast"], ("sitejobs", "fedward")),
        (["--context", "hub", "describe", "b"], ["brain", "breast"], ("federatedjobs", None)),
    ],
)
def test_names_are_the_clusters_in_the_namespace_that_is_typed(words, found, asked):
    assert offered(*words) == (found, [asked])


def test_nothing_more_is_offered_where_nothing_more_is_taken():
    assert offered("watch", "brain", "") == ([], [])


def test_folders_of_runs_are_offered_beside_jobs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in ("runs/brain", "out"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "result.json").touch()
    assert offered("watch", "")[0] == ["brain", "breast", "other", "out", "runs/brain"]
    assert offered("watch", "ru")[0] == ["runs/brain"]


@pytest.fixture
def path(tmp_path):
    """A PATH with the program and a kubectl that writes down how it was asked."""
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(f'#!/bin/sh\necho "$KUBECONFIG $@" >> {tmp_path}/asked\necho federatedjob.fedward.io/brain\n')
    kubectl.chmod(0o755)
    return f"{tmp_path}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def test_bash_completes_a_jobs_name(path, tmp_path):
    script = """
    source <(fedward completion bash)
    COMP_WORDS=(fedward describe -n research br) COMP_CWORD=4
    _fedward
    echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script], env={"PATH": path}, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("brain\n", "")
    assert "get federatedjobs.fedward.io -o name" in (tmp_path / "asked").read_text()


def test_kubectl_is_asked_as_the_words_say_and_told_that_files_fit_too(path, tmp_path):
    code = "import sys; from fedward_cli.main import complete_for_kubectl; complete_for_kubectl()"
    command = [sys.executable, "-c", code, "watch", "--context=other", "--kubeconfig", "/k", "b"]
    done = subprocess.run(command, env={"PATH": path}, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == ["brain", ":0"]
    assert (tmp_path / "asked").read_text().startswith("/k --context other get federatedjobs.fedward.io")


def test_a_cluster_that_does_not_answer_offers_nothing(path, tmp_path):
    (tmp_path / "kubectl").write_text("#!/bin/sh\necho boom >&2; exit 1\n")
    done = subprocess.run(["fedward", "__complete", "watch", ""], env={"PATH": path}, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
