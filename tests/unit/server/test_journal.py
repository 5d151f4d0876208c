"""What the journal has acknowledged survives a kill at any instant, and nothing else ever appears in it."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedward_protocol.reasons import Reason, RefusedError
from fedward_server import events
from fedward_server import journal as journal_module
from fedward_server.journal import Journal, JournalError, read_events

REPORT = events.Report(
    metrics={"dice": events.Mean(sum=1.5, count=2)},
    train_loss=0.25,
    fetch_seconds=1,
    evaluate_seconds=2,
    train_seconds=3,
    steps=4,
)


def arrived(number, loss=0.25):
    return events.UpdateArrived(
        at=1000.0 + number,
        site=f"site-{number}",
        attempt=1,
        round=1,
        digest=bytes([number % 256]) * 32,
        nbytes=10,
        samples=3,
        report=REPORT.model_copy(update={"train_loss": loss}),
        release=None,
        submit_seconds=0.5,
    )


def copy_as_a_kill_leaves_it(folder, to, keep=None):
    """Copy database and log, the log cut to `keep` bytes: what is on the disk when the process is gone."""
    to.mkdir()
    for path in folder.glob("journal.db*"):
        shutil.copyfile(path, to / path.name)
    if keep is not None:
        with (to / "journal.db-wal").open("r+b") as log:
            log.truncate(keep)
    return to / "journal.db"


async def test_whatever_was_acknowledged_is_there_after_a_kill_right_after_it(tmp_path):
    async with Journal(tmp_path / "journal.db") as journal:
        await journal.open()
        for number in range(12):
            await journal.append(arrived(number))
            left = copy_as_a_kill_leaves_it(tmp_path, tmp_path / f"killed-{number}")
            async with Journal(left) as after:
                assert await after.open() == [arrived(each) for each in range(number + 1)]


@settings(deadline=None, max_examples=25)
@given(share=st.floats(0, 1, exclude_max=True))
async def test_a_write_that_was_cut_off_anywhere_leaves_what_came_before_and_no_half_of_it(tmp_path_factory, share):
    folder = tmp_path_factory.mktemp("journal")
    async with Journal(folder / "journal.db") as journal:
        await journal.open()
        await journal.append(arrived(1))
        before = (folder / "journal.db-wal").stat().st_size
        await journal.append(arrived(2), arrived(3))
        grown = (folder / "journal.db-wal").stat().st_size - before
        left = copy_as_a_kill_leaves_it(folder, folder / "killed", keep=before + int(grown * share))
    async with Journal(left) as after:
        assert await after.open() == [arrived(1)]


async def test_a_full_disk_is_said_and_the_journal_goes_on_once_there_is_space(tmp_path):
    async with Journal(tmp_path / "journal.db") as journal:
        await journal.open()
        await journal.append(arrived(0))
        await journal._run(journal._opened().execute, "PRAGMA max_page_count=3")
        with pytest.raises(RefusedError) as refused:
            await journal.append(*(arrived(number) for number in range(1, 200)))
        assert refused.value.reason is Reason.STORAGE_FULL
        assert (await journal.read())[1] == [arrived(0)]
        await journal._run(journal._opened().execute, "PRAGMA max_page_count=1000000")
        await journal.append(arrived(1))
        assert await journal.read(after=1) == (2, [arrived(1)])


async def test_two_aggregators_never_hold_one_journal(tmp_path, monkeypatch):
    monkeypatch.setattr(journal_module, "LOCK_WAIT_S", 0.05)
    async with Journal(tmp_path / "journal.db") as held:
        await held.open()
        async with Journal(tmp_path / "journal.db") as second:
            with pytest.raises(JournalError, match="locked"):
                await second.open()
    async with Journal(tmp_path / "journal.db") as following:
        assert await following.open() == []


async def test_a_journal_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path):
    with sqlite3.connect(tmp_path / "journal.db") as newer:
        newer.execute(f"PRAGMA user_version={journal_module.SCHEMA_VERSION + 1}")
    async with Journal(tmp_path / "journal.db") as journal:
        with pytest.raises(JournalError, match="schema"):
            await journal.open()
    with sqlite3.connect(tmp_path / "journal.db") as newer:
        assert newer.execute("PRAGMA user_version").fetchone() == (journal_module.SCHEMA_VERSION + 1,)


@pytest.mark.parametrize("event", ["", "[]", '{"kind": "Nothing"}', '{"kind": "UpdateArrived"}'])
async def test_a_journal_with_a_line_that_is_no_event_is_called_damaged(tmp_path, event):
    async with Journal(tmp_path / "journal.db") as journal:
        await journal.open()
    with closing(sqlite3.connect(tmp_path / "journal.db", isolation_level=None)) as damaged:
        damaged.execute("INSERT INTO events (event) VALUES (?)", (event,))
    async with Journal(tmp_path / "journal.db") as journal:
        with pytest.raises(JournalError, match=r"journal\.db is damaged \(.+\); restore it, or start the job anew"):
            await journal.open()


async def test_a_journal_cut_short_is_called_damaged(tmp_path):
    async with Journal(tmp_path / "journal.db") as journal:
        await journal.open()
        await journal.append(*map(arrived, range(60)))
    with (tmp_path / "journal.db").open("r+b") as file:
        file.truncate(8192)
    async with Journal(tmp_path / "journal.db") as journal:
        with pytest.raises(JournalError, match="is damaged"):
            await journal.open()


@pytest.mark.parametrize("loss", [0.1, float("inf"), float("nan")])
def test_an_event_is_read_back_as_it_was_written_even_where_training_diverged(loss):
    written = arrived(7, loss)
    assert events.to_json(events.from_json(events.to_json(written))) == events.to_json(written)
    assert repr(events.from_json(events.to_json(written))) == repr(written)


async def test_a_journal_that_nobody_holds_is_read_one_event_at_a_time(tmp_path):
    async with Journal(tmp_path / "journal.db") as journal:
        await journal.open()
        await journal.append(*(arrived(number) for number in (1, 2, 3)))
    reading = read_events(tmp_path / "journal.db")
    assert next(reading) == arrived(1)
    assert list(reading) == [arrived(2), arrived(3)]


def test_one_that_nothing_was_written_to_has_no_events_and_one_of_a_newer_version_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    with closing(sqlite3.connect(path)) as connection:
        assert list(read_events(path)) == []
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(JournalError, match="has schema 99"):
        list(read_events(path))
