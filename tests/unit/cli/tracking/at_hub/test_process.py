"""What the process settles before it begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedward_cli.documents import Documents
from fedward_cli.tracking.at_hub import folder as places
from fedward_cli.tracking.at_hub.__main__ import settle_in_pod
from fedward_cli.tracking.at_hub.folder import fresh_folder


def test_what_somebody_has_set_stays() -> None:
    environ = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
    settle_in_pod(environ, is_ending=True)
    assert environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "5"
    assert environ["MLFLOW_DISABLE_TELEMETRY"] == "true"


def test_the_end_of_a_job_gives_a_server_the_time_that_a_large_model_takes() -> None:
    def seconds(*, is_ending: bool) -> str:
        environ: dict[str, str] = {}
        settle_in_pod(environ, is_ending=is_ending)
        return environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]

    assert (seconds(is_ending=False), seconds(is_ending=True)) == ("30", "300")


def test_what_a_container_before_left_in_the_folder_goes_away(
    documents: Documents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places.tempfile, "gettempdir", lambda: str(tmp_path))
    first = fresh_folder(documents.plan())
    (first.out / "metrics.jsonl").write_text("half a li")
    second = fresh_folder(documents.plan())
    assert second.read_plan() == documents.plan()
    assert not (second.out / "metrics.jsonl").exists()
