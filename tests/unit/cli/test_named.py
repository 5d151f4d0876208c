"""Whether JOB on the command line is a local run's folder or a job in the cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fedward_cli.named import named
from fedward_cli.problems import InputError


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with a run's folder `brain`, and one `notes` that is no run's."""
    for name in ("brain", "notes"):
        (tmp_path / name).mkdir()
    (tmp_path / "brain" / "result.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_runs_folder_goes_before_a_job_of_its_name_unless_the_cluster_is_meant(here):
    assert named("brain", is_of_cluster=False) == Path("brain")
    assert named("brain", is_of_cluster=True) == "brain"
    assert named("notes", is_of_cluster=True) == "notes"
    assert named("spine", is_of_cluster=False) == "spine"


@pytest.mark.parametrize(
    ("job", "is_of_cluster", "words"),
    [
        ("notes", False, "notes: holds no result.json; it is no run's --out folder.* give -n"),
        ("runs/brain", False, "runs/brain: is no folder, and no job's name"),
        ("./brain", True, "./brain: is no job's name; a run's folder is read without -n"),
    ],
)
def test_what_is_neither_is_bad_input(here, job, is_of_cluster, words):
    with pytest.raises(InputError, match=words):
        named(job, is_of_cluster=is_of_cluster)


def fedward(here, *arguments):
    """Run the command in this folder with a kubectl that only says that it was asked."""
    kubectl = here / "bin" / "kubectl"
    kubectl.parent.mkdir(exist_ok=True)
    kubectl.write_text("#!/bin/sh\necho kubectl was asked >&2; exit 1\n")
    kubectl.chmod(0o755)
    environment = {**os.environ, "PATH": f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, "-m", "fedward_cli.main", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("watch", "brain", "-n", "research"),
        ("describe", "brain", "--context", "hub"),
        ("logs", "brain", "--kubeconfig=hub.yaml"),
        ("report", "brain", "--out", "fetched"),
    ],
)
def test_an_option_about_the_cluster_leads_there(here, arguments):
    done = fedward(here, *arguments)
    assert (done.returncode, done.stderr) == (2, "error: kubectl was asked\n")


@pytest.mark.parametrize("command", ["watch", "describe", "logs", "report"])
def test_a_folder_that_is_no_runs_is_not_looked_for_in_the_cluster(here, command):
    done = fedward(here, command, "notes")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("notes: holds no result.json")
