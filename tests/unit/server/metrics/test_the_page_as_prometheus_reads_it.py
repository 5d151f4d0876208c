"""Prometheus' own linter reads the page of a job that has everything to show."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime

import pytest
from job_so_far import JobSoFar

from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb

PROMTOOL = shutil.which("promtool")


@pytest.mark.skipif(PROMTOOL is None, reason="no promtool")
def test_the_linter_has_nothing_to_say(tmp_path):
    job = JobSoFar().start()
    job.metrics.watch_host(tmp_path, lambda: 7, lambda: datetime(2030, 1, 1, tzinfo=UTC))
    job.metrics.refused("east", Reason.TOO_LARGE)
    for site in job.plan.sites:
        job.submit(site, {"dice": (3.0, 10), "val.mean-dice": (3.0, 10)})
        vitals = pb.Vitals(cases_per_second=1.5, gpu_utilisation=0.75)
        job.attendance.of(site).progress = pb.Progress(round=1, stage="train", fraction=0.5, vitals=vitals)
    job.close()
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=job.page(), capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
