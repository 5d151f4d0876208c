"""The audit log: everything it was told is there or refused, and nothing can be changed in it unseen."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_node.gateway.audit import AuditLog, verify
from fedward_node.gateway.audit.record import MAX_LINE, NO_RECORD, Record, parse
from fedward_protocol.reasons import Reason, RefusedError

ORIGIN = {"site": "north", "federation": "example.org", "certificate": "ab" * 32}
START = datetime(2026, 3, 1, 22, 0, tzinfo=UTC)


@dataclass
class Clock:
    """Goes on by two hours at each look."""

    time: datetime = START

    def __call__(self) -> datetime:
        self.time += timedelta(hours=2)
        return self.time


@dataclass
class Disk:
    """A disk that breaks at its n-th operation, after taking half of what it was given, and stays broken or heals."""

    breaks_at: int = 0
    heals: bool = True
    operations: int = 0
    broken: bool = field(default=False)

    def write(self, fd: int, data: bytes) -> int:
        if self._fails():
            os.write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.write(fd, data[:40])  # a short write, as the system may make it

    def sync(self, fd: int) -> None:
        if self._fails():
            raise OSError(errno.EIO, "Input/output error")
        os.fsync(fd)

    def _fails(self) -> bool:
        self.operations += 1
        if self.operations == self.breaks_at:
            self.broken = True
            return True
        return self.broken and not self.heals


def lines(folder: Path) -> list[bytes]:
    return [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines(keepends=True)]


def events(folder: Path) -> list[str]:
    return [parse(line).event for line in lines(folder)]


def written(folder: Path, count: int = 5) -> str:
    """Write a log of `count` records over several days and return its head."""
    with AuditLog(folder, ORIGIN, Clock()) as log:
        for number in range(count - 1):
            log.append("update", {"round": number, "digest": "cd" * 32, "metrics": {"dice": [4.5, 5]}})
        return log.head


def test_a_log_begins_with_who_writes_it_and_holds_what_it_was_told(tmp_path: Path) -> None:
    head = written(tmp_path)
    first = parse(lines(tmp_path)[0])
    assert (first.number, first.event, dict(first.facts), first.previous) == (0, "genesis", ORIGIN, NO_RECORD)
    verdict = verify(tmp_path, head)
    assert verdict.is_intact
    assert (verdict.records, verdict.head) == (5, head)
    assert (verdict.first, verdict.last) == (START + timedelta(hours=2), START + timedelta(hours=10))


def test_each_line_is_json_that_names_the_one_before(tmp_path: Path) -> None:
    written(tmp_path)
    documents = [json.loads(line) for line in lines(tmp_path)]
    assert [document["number"] for document in documents] == [0, 1, 2, 3, 4]
    assert documents[3]["facts"] == {"round": 2, "digest": "cd" * 32, "metrics": {"dice": [4.5, 5]}}


def test_a_day_is_a_file_and_the_chain_goes_across(tmp_path: Path) -> None:
    written(tmp_path, 30)
    assert [path.name for path in sorted(tmp_path.glob("*.jsonl"))] == [
        "2026-03-02.jsonl",
        "2026-03-03.jsonl",
        "2026-03-04.jsonl",
    ]
    assert verify(tmp_path).records == 30


def test_a_clock_set_back_does_not_put_records_before_earlier_ones(tmp_path: Path) -> None:
    clock = Clock()
    with AuditLog(tmp_path, ORIGIN, clock) as log:
        clock.time -= timedelta(days=3)
        log.append("update")
        log.append("update")
    clock.time -= timedelta(days=3)
    with AuditLog(tmp_path, ORIGIN, clock) as log:
        log.append("update")
    assert [path.name for path in tmp_path.glob("*.jsonl")] == ["2026-03-02.jsonl"]
    assert verify(tmp_path).records == 5


def test_a_restart_goes_on_with_the_chain_and_says_so(tmp_path: Path) -> None:
    head = written(tmp_path)
    AuditLog(tmp_path, ORIGIN, Clock()).close()
    assert events(tmp_path)[-2:] == ["update", "started"]
    verdict = verify(tmp_path, head)
    assert verdict.is_intact, "a head noted before the log grew is still in it"
    assert verdict.records == 6


def test_each_record_is_synced_before_append_returns(tmp_path: Path) -> None:
    on_disk: list[bytes] = []

    def sync(fd: int) -> None:
        on_disk[:] = lines(tmp_path)

    with AuditLog(tmp_path, ORIGIN, sync=sync) as log:
        log.append("update", {"round": 1})
        assert len(on_disk) == 2
        assert parse(on_disk[-1]).facts == {"round": 1}


# ---------------------------------------------------------------- tampering


def test_every_bit_of_a_log_counts(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with AuditLog(log, {"site": "north"}, Clock(START - timedelta(hours=10))) as opened:
        opened.append("update", {"round": 1})
        opened.append("update", {"é": None})
    (path,) = log.glob("*.jsonl")
    whole = path.read_bytes()
    for position in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            path.write_bytes(flipped)
            verdict = verify(log)
            line = whole[:position].count(b"\n") + 1
            assert verdict.broken is not None, (position, bit)
            assert verdict.broken.startswith(f"{path}:{line}:"), verdict.broken
            assert verdict.records == line - 1


def rewrite(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))

    return apply


def forged(old: list[bytes]) -> list[bytes]:
    """Rewrite a record with a seal that fits."""
    record = parse(old[2])
    return [*old[:2], Record(record.number, record.time, "nothing", {}, record.previous).line(), *old[3:]]


@pytest.mark.parametrize(
    ("change", "line", "says"),
    [
        pytest.param(lambda old: [*old[:3], *old[4:]], 4, "removed", id="a record is removed"),
        pytest.param(lambda old: [*old[:2], old[3], old[2], *old[4:]], 3, "moved", id="two records change places"),
        pytest.param(lambda old: [*old[:3], old[2], *old[3:]], 4, "moved", id="a record is repeated"),
        pytest.param(lambda old: old[1:], 1, "removed", id="the first record is removed"),
        pytest.param(lambda old: [*old[:2], old[2][:-30], *old[3:]], 3, "altered", id="a line is cut in the middle"),
        pytest.param(lambda old: [*old[:-1], old[-1][:-1]], 8, "incomplete", id="the last newline is cut off"),
        pytest.param(lambda old: [*old[:2], b"\n", *old[2:]], 3, "altered", id="an empty line is added"),
        pytest.param(lambda old: [*old, b"{}\n"], 9, "altered", id="a foreign line is added"),
        pytest.param(
            lambda old: [*old[:2], old[2].replace(b":", b": "), *old[3:]], 3, "altered", id="spaces are added"
        ),
        pytest.param(lambda old: [b"x" * (MAX_LINE + 9), *old], 1, "altered", id="a line without end is added"),
        pytest.param(forged, 4, "replaced", id="a record is replaced and sealed"),
    ],
)
def test_tampering_is_found_at_its_line(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], line: int, says: str
) -> None:
    written(tmp_path, 8)
    (path,) = tmp_path.glob("*.jsonl")
    rewrite(change)(path)
    verdict = verify(tmp_path)
    assert verdict.broken is not None
    assert verdict.broken.startswith(f"{path}:{line}:")
    assert says in verdict.broken
    assert verdict.records == line - 1


def test_a_missing_file_in_the_middle_is_found(tmp_path: Path) -> None:
    written(tmp_path, 30)
    (tmp_path / "2026-03-03.jsonl").unlink()
    broken = verify(tmp_path).broken
    assert broken is not None
    assert broken.startswith(f"{tmp_path / '2026-03-04.jsonl'}:1:")


def test_a_file_of_another_name_is_found(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "old.jsonl").write_bytes(b"")
    assert "old.jsonl" in str(verify(tmp_path).broken)


@pytest.mark.parametrize("removed", [1, 2, 4])
def test_a_cut_tail_is_found_only_with_the_head_that_was_noted(tmp_path: Path, removed: int) -> None:
    head = written(tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    rewrite(lambda old: old[:-removed])(path)
    assert verify(tmp_path).is_intact
    assert "expected head" in str(verify(tmp_path, head).broken)


def test_a_log_written_anew_is_found_with_the_head_that_was_noted(tmp_path: Path) -> None:
    head = written(tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    path.unlink()
    AuditLog(tmp_path, ORIGIN, Clock(START + timedelta(minutes=1))).close()
    assert verify(tmp_path).is_intact
    assert not verify(tmp_path, head).is_intact


def test_an_empty_folder_is_no_intact_log(tmp_path: Path) -> None:
    verdict = verify(tmp_path)
    assert not verdict.is_intact
    assert (verdict.records, verdict.first, verdict.head) == (0, None, NO_RECORD)


def test_the_gateway_does_not_start_on_a_log_that_was_tampered_with(tmp_path: Path) -> None:
    written(tmp_path)
    (path,) = tmp_path.glob("*.jsonl")
    rewrite(lambda old: [*old[:2], *old[3:]])(path)
    before = path.read_bytes()
    with pytest.raises(RefusedError) as refused:
        AuditLog(tmp_path, ORIGIN, Clock())
    assert refused.value.reason is Reason.AUDIT_FAILED
    assert f"{path}:3:" in refused.value.detail
    assert path.read_bytes() == before


# ---------------------------------------------------------------- power loss and bad disks


def test_a_line_torn_at_any_byte_is_set_aside_and_recorded(tmp_path: Path) -> None:
    written(tmp_path / "whole", 3)
    (whole,) = (tmp_path / "whole").glob("*.jsonl")
    old = whole.read_bytes().splitlines(keepends=True)
    for cut in range(1, len(old[2])):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / whole.name).write_bytes(old[0] + old[1] + old[2][:cut])
        AuditLog(folder, ORIGIN, Clock()).close()
        assert events(folder) == ["genesis", "update", "started", "recovered"]
        recovered = parse(lines(folder)[-1]).facts
        assert recovered["nbytes"] == cut
        assert (folder / str(recovered["set_aside"])).read_bytes() == old[2][:cut]
        assert verify(folder).is_intact


def test_a_torn_first_line_begins_the_log_again(tmp_path: Path) -> None:
    (tmp_path / "2026-03-02.jsonl").write_bytes(b'{"number":0,"ti')
    AuditLog(tmp_path, ORIGIN, Clock()).close()
    assert events(tmp_path) == ["genesis", "recovered"]


@pytest.mark.parametrize("heals", [True, False])
def test_a_disk_that_fails_at_any_operation_refuses_that_record_and_keeps_the_log_whole(
    tmp_path: Path, heals: bool
) -> None:
    for operation in range(1, 60):
        folder, disk = tmp_path / str(operation), Disk(operation, heals)
        accepted = _accepted(folder, disk)
        if not disk.broken:
            return
        with AuditLog(folder, ORIGIN, Clock()):
            pass
        assert verify(folder).is_intact
        there = [parse(line).facts["round"] for line in lines(folder) if parse(line).event == "update"]
        # A record that was refused may not be there, but for the one that a dead disk would not let go of again.
        assert there[: len(accepted)] == accepted
        assert len(there) <= len(accepted) + (not heals)
    pytest.fail("the disk never got to the end")


def _accepted(folder: Path, disk: Disk) -> list[int]:
    """Write five records and return those that were not refused."""
    accepted = []
    try:
        log = AuditLog(folder, ORIGIN, Clock(), disk.write, disk.sync)
    except RefusedError as refused:
        assert refused.reason is Reason.AUDIT_FAILED  # noqa: PT017
        return []
    with log:
        for number in range(5):
            try:
                log.append("update", {"round": number})
            except RefusedError:
                continue
            accepted.append(number)
    return accepted


def test_records_go_on_once_there_is_space_again(tmp_path: Path) -> None:
    disk = Disk(heals=True)
    with AuditLog(tmp_path, ORIGIN, Clock(), disk.write, disk.sync) as log:
        disk.breaks_at = disk.operations + 2
        with pytest.raises(RefusedError, match="No space left"):
            log.append("update", {"round": 1})
        log.append("update", {"round": 2})
    assert [parse(line).facts for line in lines(tmp_path)] == [ORIGIN, {"round": 2}]


@pytest.mark.parametrize("fact", [float("nan"), float("inf"), object(), "x" * MAX_LINE])
def test_what_cannot_be_written_down_is_refused(tmp_path: Path, fact: object) -> None:
    with AuditLog(tmp_path, ORIGIN, Clock()) as log:
        with pytest.raises(RefusedError) as refused:
            log.append("update", {"fact": fact})  # type: ignore[dict-item]
        assert refused.value.reason is Reason.AUDIT_FAILED
        log.append("update")
    assert verify(tmp_path).records == 2


# ---------------------------------------------------------------- one writer


def test_a_second_writer_is_told_so(tmp_path: Path) -> None:
    with AuditLog(tmp_path, ORIGIN, Clock()), pytest.raises(RefusedError, match="another process writes"):
        AuditLog(tmp_path, ORIGIN, Clock())
    AuditLog(tmp_path, ORIGIN, Clock()).close()


def test_a_closed_log_refuses(tmp_path: Path) -> None:
    log = AuditLog(tmp_path, ORIGIN, Clock())
    log.close()
    log.close()
    with pytest.raises(RefusedError, match="closed"):
        log.append("update")


def test_threads_write_one_chain(tmp_path: Path) -> None:
    with AuditLog(tmp_path, ORIGIN) as log, ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: log.append("update", {"round": number}), range(64)))
    assert verify(tmp_path).records == 65


_WRITE = """
import sys
from pathlib import Path
from fedward_node.gateway.audit import AuditLog
log = AuditLog(Path(sys.argv[1]))
for number in range(100000):
    log.append("update", {"round": number})
    print(number, flush=True)
"""


@pytest.mark.process
@pytest.mark.parametrize("acknowledged", [1, 3, 20])
def test_a_kill_at_any_time_loses_no_record_that_was_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITE, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(acknowledged):
            process.stdout.readline()
        process.kill()
        said = acknowledged + len(process.stdout.read().splitlines())
    AuditLog(tmp_path, ORIGIN).close()
    assert verify(tmp_path).is_intact
    assert said <= events(tmp_path).count("update") <= said + 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(facts=st.dictionaries(st.text(), json_values, max_size=4), event=st.text())
def test_any_record_reads_back_as_it_was_written(facts: dict[str, object], event: str) -> None:
    record = Record(3, START, event, facts, "ab" * 32)  # type: ignore[arg-type]
    assert parse(record.line()) == record
