"""What leaves a job's volume for the pod that speaks with a server: journal and delivered model, no site's update."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from fedward_cli.documents import Documents
from fedward_cli.tracking.at_hub import collecting
from fedward_cli.tracking.at_hub.arguments import Collect
from fedward_cli.tracking.at_hub.collecting import collect_job, copy_left
from fedward_protocol.plan import Plan
from fedward_server import events
from fedward_server.export import reading
from fedward_server.journal import Journal

DELIVERED = "models/00001.safetensors"


@pytest.fixture
def plan(documents: Documents) -> Plan:
    return documents.plan()


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """A volume as a killed aggregator leaves it: the last events in the log, updates in the spool, a model too many."""
    alive, state = tmp_path / "alive", tmp_path / "state"
    (alive / "spool").mkdir(parents=True)
    (alive / "spool" / "north.update").write_bytes(b"of one hospital")
    (alive / "models").mkdir()
    async with Journal(alive / "journal.db") as journal:
        await journal.open()
        for number in range(2):
            (alive / "models" / f"{number:05d}.safetensors").write_bytes(bytes([number]))
            model = events.Model(round=number, digest=bytes(32), nbytes=1)
            await journal.append(events.ModelMade(at=number, model=model, seconds=1, shares={}))
        shutil.copytree(alive, state)
    assert (state / "journal.db-wal").stat().st_size
    return state


def content(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def left(tmp_path: Path) -> Path:
    (tmp_path / "left").mkdir()
    return tmp_path / "left"


def test_the_journal_and_the_delivered_model_are_taken_and_no_more(state: Path, plan: Plan, left: Path) -> None:
    before = content(state)
    copy_left(state, plan, left)
    assert names(left) == {"journal.db", "journal.db-wal", "models", DELIVERED}
    assert content(state) == before
    with reading(state, plan) as whole, reading(left, plan) as taken:
        assert list(taken.history) == list(whole.history)
        assert taken.model is not None
        assert taken.model.read_bytes() == bytes([1])


def test_a_second_time_gives_the_same_whatever_the_first_left_there(state: Path, plan: Plan, left: Path) -> None:
    copy_left(state, plan, left)
    first = {name: each[0] for name, each in content(left).items()}
    (left / "models" / "00009.safetensors").write_text("of another time")
    (left / "new").mkdir()
    (left / "new" / "journal.db").write_text("half a jour")
    copy_left(state, plan, left)
    assert {name: each[0] for name, each in content(left).items()} == first


def test_a_copy_that_is_cut_off_leaves_no_journal_and_is_said(
    state: Path, plan: Plan, left: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    copy_left(state, plan, left)
    copyfile = shutil.copyfile

    def full(source: Path, to: Path) -> Path:
        if to == left / "new" / "journal.db":
            to.write_text("half a jour")
            raise OSError(28, "No space left on device", str(to))
        return copyfile(source, to)

    monkeypatch.setattr(collecting.shutil, "copyfile", full)
    with caplog.at_level(logging.CRITICAL):
        assert collect_job(Collect(Path("plan.json"), state, left), plan) == 1
    assert not (left / "journal.db").exists()
    assert "what the job left cannot be copied: [Errno 28] No space left on device" in caplog.text


@pytest.mark.parametrize("lacks", ["journal.db", DELIVERED])
def test_what_is_missing_is_for_finish_to_say(state: Path, plan: Plan, left: Path, lacks: str) -> None:
    (state / lacks).unlink()
    assert collect_job(Collect(Path("plan.json"), state, left), plan) == 0
    assert names(left) == (set() if lacks == "journal.db" else {"journal.db", "journal.db-wal", "models"})


def test_a_journal_that_cannot_be_read_goes_as_it_is(state: Path, plan: Plan, left: Path) -> None:
    (state / "journal.db-wal").unlink()
    (state / "journal.db").write_bytes(b"no database at all, and longer than a page's head would be" * 100)
    assert collect_job(Collect(Path("plan.json"), state, left), plan) == 0
    assert (left / "journal.db").read_bytes() == (state / "journal.db").read_bytes()
