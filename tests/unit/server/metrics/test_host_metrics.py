"""What a scrape says of the disk and of the certificate."""

from __future__ import annotations

from datetime import UTC, datetime

from job_so_far import JobSoFar


def test_disk_and_certificate_are_looked_at_when_somebody_asks(tmp_path):
    job, sizes = JobSoFar(), [7]
    job.metrics.watch_host(tmp_path, lambda: sizes[-1], lambda: datetime(2030, 1, 1, tzinfo=UTC))
    assert job.sample("spool_bytes") == 7
    sizes.append(9)
    assert job.sample("spool_bytes") == 9
    assert 0 < job.sample("volume_free_bytes") <= job.sample("volume_size_bytes")
    assert job.sample("certificate_not_after_timestamp_seconds") == datetime(2030, 1, 1, tzinfo=UTC).timestamp()


def test_a_disk_that_cannot_be_read_does_not_hide_the_rest(tmp_path):
    def broken():
        raise OSError("no such device")

    job = JobSoFar()
    job.metrics.watch_host(tmp_path / "gone", broken, lambda: datetime(2030, 1, 1, tzinfo=UTC))
    assert job.sample("spool_bytes") is None
    assert job.sample("volume_free_bytes") is None
    assert job.sample("certificate_not_after_timestamp_seconds") is not None
    assert job.sample("round") == 0
