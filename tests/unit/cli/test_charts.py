"""TensorBoard's files beside a run: what cannot be written never stops it."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.tracking.records import part, write_rounds

from fedward_cli.documents import Documents
from fedward_cli.local.charts import Charts
from fedward_protocol.wire import federation_pb2 as pb

CLOSED = pb.RoundClosed(round=2, sites=["north", "south"], opened_at=200, closed_at=205)


def test_a_folder_that_cannot_be_written_is_said_once_and_passed_over(tmp_path: Path, documents: Documents) -> None:
    (tmp_path / "tensorboard").write_text("a file stands in the way")
    write_rounds(tmp_path, 1, 1)
    lines: list[str] = []
    charts = Charts(tmp_path, documents.plan(), lines.append)
    charts.catch_up(is_over=False)
    charts.add([part(2, "north"), part(2, "south")], [CLOSED])
    charts.catch_up(is_over=True)
    assert len(lines) == 1
    assert "cannot be written" in lines[0]


def test_a_round_is_there_as_soon_as_it_has_closed(tmp_path: Path, documents: Documents) -> None:
    charts = Charts(tmp_path, documents.plan(), lambda line: None)
    charts.catch_up(is_over=False)
    charts.add([part(2, "north"), part(2, "south")], [CLOSED])
    assert (tmp_path / "tensorboard" / "north").is_dir()
