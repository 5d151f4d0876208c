from __future__ import annotations

import errno
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedward_protocol.reasons import Reason, RefusedError
from fedward_server.spool import Disk, Slot, Spool

SLOT = Slot(1, 1, "north")
DATA = bytes(range(256)) * 40
DIGEST = hashlib.sha256(DATA).digest()


class SmallDisk(Disk):
    """Holds `room` bytes in all."""

    def __init__(self, room):
        self.room = room

    def write(self, fd, data, offset):
        if offset + len(data) > self.room:
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, data, offset)

    def free(self, path):
        return 1 << 40


@settings(deadline=None)  # each example waits for the disk
@given(cuts=st.lists(st.integers(0, len(DATA)), max_size=8), restarts=st.sets(st.integers(0, 8)))
def test_an_update_is_whole_however_it_is_cut_and_however_often_the_process_restarts(tmp_path_factory, cuts, restarts):
    root = tmp_path_factory.mktemp("spool")
    spool = Spool(root)
    upload = spool.receive(SLOT, DIGEST, len(DATA))
    for number, cut in enumerate([*sorted(cuts), len(DATA)]):
        if number in restarts:
            spool = Spool(root)
            upload = spool.receive(SLOT, DIGEST, len(DATA))
        if cut > upload.offset:
            upload.write(upload.offset, DATA[upload.offset : cut])
    upload.finish()
    assert spool.path(SLOT, DIGEST).read_bytes() == DATA


def test_a_wrong_digest_is_refused_and_nothing_of_it_stays(tmp_path):
    spool = Spool(tmp_path / "spool")
    upload = spool.receive(SLOT, bytes(32), len(DATA))
    upload.write(0, DATA)
    with pytest.raises(RefusedError) as refused:
        upload.finish()
    assert refused.value.reason is Reason.WRONG_DIGEST
    assert not spool.path(SLOT, bytes(32)).exists()
    again = spool.receive(SLOT, DIGEST, len(DATA))
    again.write(0, DATA)
    again.finish()


@pytest.mark.parametrize(
    ("offset", "data", "reason"),
    [(1, b"x", Reason.WRONG_OFFSET), (0, DATA + b"x", Reason.MALFORMED)],
)
def test_chunks_that_do_not_fit_are_refused(tmp_path, offset, data, reason):
    upload = Spool(tmp_path / "spool").receive(SLOT, DIGEST, len(DATA))
    with pytest.raises(RefusedError) as refused:
        upload.write(offset, data)
    assert refused.value.reason is reason
    assert upload.offset == 0


def test_a_full_disk_refuses_the_chunk_and_the_same_upload_goes_on_once_there_is_room(tmp_path):
    disk = SmallDisk(5000)
    upload = Spool(tmp_path / "spool", disk).receive(SLOT, DIGEST, len(DATA))
    upload.write(0, DATA[:4000])
    with pytest.raises(RefusedError) as refused:
        upload.write(4000, DATA[4000:])
    assert refused.value.reason is Reason.STORAGE_FULL
    assert upload.offset == 4000
    disk.room = 1 << 20
    upload.write(4000, DATA[4000:])
    upload.finish()
    assert upload.path.read_bytes() == DATA


def test_what_does_not_fit_is_refused_before_its_first_byte(tmp_path):
    spool = Spool(tmp_path / "spool")
    with pytest.raises(RefusedError) as refused:
        spool.receive(SLOT, DIGEST, 1 << 60)
    assert refused.value.reason is Reason.STORAGE_FULL


def test_a_second_stream_takes_an_upload_over_and_the_first_can_write_no_more(tmp_path):
    spool = Spool(tmp_path / "spool")
    first = spool.receive(SLOT, DIGEST, len(DATA))
    first.write(0, DATA[:10])
    second = spool.receive(SLOT, DIGEST, len(DATA))
    assert second.offset == 10
    with pytest.raises(RefusedError):
        first.write(10, DATA[10:20])
    second.write(10, DATA[10:])
    second.finish()


def test_sweeping_keeps_the_open_round_and_deletes_the_others(tmp_path):
    spool = Spool(tmp_path / "spool")
    for slot in (SLOT, Slot(1, 2, "north")):
        upload = spool.receive(slot, DIGEST, len(DATA))
        upload.write(0, DATA)
        upload.finish()
    spool.sweep({(1, 2)})
    assert not spool.path(SLOT, DIGEST).exists()
    assert spool.path(Slot(1, 2, "north"), DIGEST).read_bytes() == DATA
    assert spool.nbytes() == len(DATA)


def test_a_stream_that_takes_over_what_another_finishes_and_lets_go_of_is_finished_too(tmp_path):
    spool = Spool(tmp_path / "spool")
    first = spool.receive(SLOT, DIGEST, len(DATA))
    first.write(0, DATA)
    first.finish()
    second = spool.receive(SLOT, DIGEST, len(DATA))
    assert second.offset == len(DATA)
    first.close()
    second.finish()
    assert second.path.read_bytes() == DATA
