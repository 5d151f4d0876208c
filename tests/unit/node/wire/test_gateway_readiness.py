"""What /readyz answers with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from fedward_node.gateway.readiness import Readiness, obstacle
from fedward_protocol.certificate import Certificate
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

NOW = datetime(2030, 5, 1, 12, tzinfo=UTC)
AUTHORITY = Authority.create("north.example", NOW)
CERTIFICATE = Certificate.parse(AUTHORITY.issue(Identity("north.example", "site", "mercy"), [], NOW, timedelta(days=1)))


@pytest.mark.parametrize(
    ("now", "says"),
    [
        pytest.param(NOW, None, id="within its time"),
        pytest.param(NOW + timedelta(days=1, seconds=-1), None, id="in its last second"),
        pytest.param(NOW + timedelta(days=1), "expired at 2030-05-02T12:00:00+00:00", id="expired"),
        pytest.param(NOW - timedelta(hours=1), "not valid before 2030-05-01T11:55:00+00:00", id="not yet"),
    ],
)
def test_a_gateway_is_ready_while_its_certificate_is_valid(tmp_path, now, says):
    said = obstacle(CERTIFICATE, {"state": tmp_path}, now)
    assert said == says if says is None else says in said


def test_every_folder_must_be_there_and_writable_and_nothing_is_left_in_it(tmp_path):
    state, audit = tmp_path / "state", tmp_path / "audit"
    folders = {"state": state, "audit log": audit}
    state.mkdir()
    assert (
        obstacle(CERTIFICATE, folders, NOW)
        == "the folder of the audit log cannot be written: No such file or directory"
    )
    audit.write_bytes(b"")
    assert obstacle(CERTIFICATE, folders, NOW) == "the folder of the audit log cannot be written: Not a directory"
    audit.unlink()
    audit.mkdir()
    assert obstacle(CERTIFICATE, folders, NOW) is None
    assert list(tmp_path.glob("*/*")) == []


def test_a_disk_without_room_is_an_obstacle(tmp_path, monkeypatch):
    class FullFile:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: FullFile())
    assert obstacle(CERTIFICATE, {"state": tmp_path}, NOW) == (
        "the folder of the state cannot be written: No space left on device"
    )


def test_an_obstacle_is_logged_when_it_comes_and_when_it_comes_back(caplog):
    seen = iter(["the certificate expired", "the certificate expired", None, "the certificate expired"])
    ready = Readiness(lambda: next(seen))
    assert [ready() is None for _ in range(4)] == [False, False, True, False]
    assert [record.message for record in caplog.records] == ["not ready: the certificate expired"] * 2
