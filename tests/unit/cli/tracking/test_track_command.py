"""What `fedward track` needs before it begins, and what it says where that is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedward_cli.documents import Documents
from fedward_cli.local.folder import Folder
from fedward_cli.problems import InputError
from fedward_cli.tracking import command
from fedward_cli.tracking.command import track


@pytest.fixture
def out(tmp_path: Path, documents: Documents) -> Path:
    folder = Folder(tmp_path)
    folder.make()
    folder.plan.write_bytes(documents.plan().canonical())
    return folder.out


def refusal(out: Path, uri: str | None = None) -> str:
    with pytest.raises(InputError) as raised:
        track(out, uri, None, lambda line: None)
    return str(raised.value)


def test_a_folder_that_is_no_runs_is_refused(tmp_path: Path) -> None:
    assert "holds no run/plan.json; it is no run's --out folder" in refusal(tmp_path)


def test_a_run_whose_job_names_no_server_asks_for_one(out: Path) -> None:
    assert "name one: --uri https://" in refusal(out)


def test_an_address_with_a_password_is_refused_here_too_and_not_repeated(out: Path) -> None:
    said = refusal(out, "https://me:opensesame@mlflow.example.org")
    assert said.startswith("--uri: holds a user name or a password")
    assert "opensesame" not in said


def test_without_mlflows_client_it_says_what_to_install(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "is_installed", lambda: False)
    assert "pip install 'fedward[tracking]'" in refusal(out, "https://mlflow.example.org")
