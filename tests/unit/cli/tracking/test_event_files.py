"""TensorBoard's own reader finds each point once, however often a run was stopped and resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.unit.cli.tracking.records import closed, part, write_rounds

from fedward_cli.results import read_closed, read_rounds
from fedward_cli.tracking.event_files import FOLDER, EventFiles


def series(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Read one run of TensorBoard's: tag to steps and values."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    reader.Reload()
    return {
        tag: [(event.step, pytest.approx(event.value)) for event in reader.Scalars(tag)]
        for tag in reader.Tags()["scalars"]
    }


def begin(out: Path, *, is_over: bool = False) -> EventFiles:
    files = EventFiles(out, "dice")
    files.begin(read_rounds(out), read_closed(out), is_over=is_over)
    return files


def test_the_federation_and_each_site_have_a_run_of_their_own(tmp_path: Path):
    write_rounds(tmp_path, 1, 2, evaluated=True)
    begin(tmp_path, is_over=True)
    assert series(tmp_path / FOLDER)["dice"] == [(0, 0.1), (1, 0.2), (2, 0.9)]
    assert series(tmp_path / FOLDER / "north")["train_loss"] == [(1, 0.4), (2, 0.4)]
    assert sorted(path.name for path in (tmp_path / FOLDER).iterdir() if path.is_dir()) == ["north", "south"]


def test_a_resumed_run_doubles_no_point_and_goes_on_in_the_same_file(tmp_path: Path):
    write_rounds(tmp_path, 1, 2)
    begin(tmp_path)
    write_rounds(tmp_path, 3, 3)
    again = begin(tmp_path)
    again.add([part(3, "north"), part(3, "south")], closed(3))
    again.add([part(4, "north", 0.4), part(4, "south", 0.4)], closed(4))
    assert series(tmp_path / FOLDER)["dice"] == [(0, 0.1), (1, 0.2), (2, 0.3), (3, 0.4)]
    assert len(list((tmp_path / FOLDER).glob("*tfevents*"))) == 1


def test_a_file_that_a_crash_cut_short_is_mended(tmp_path: Path):
    write_rounds(tmp_path, 1, 3)
    begin(tmp_path)
    (file,) = (tmp_path / FOLDER / "south").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-30])
    begin(tmp_path)
    assert file.read_bytes() == whole


def test_a_file_that_says_something_else_is_made_anew(tmp_path: Path):
    write_rounds(tmp_path, 1, 1)
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "events.out.tfevents.fedward").write_bytes(b"of another time")
    begin(tmp_path)
    assert series(tmp_path / FOLDER)["dice"] == [(0, 0.1)]
    assert not (tmp_path / FOLDER / "new").exists()
