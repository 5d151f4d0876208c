"""Which of the three descriptions is asked for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fedward_cli.cluster.kubectl import Kubectl, kubectl
from fedward_cli.cluster.whose import AtHub, find_job
from fedward_cli.describe import of_job, of_part, of_run
from fedward_cli.describe.description import Description


def describe(asked: Path | str, namespace: str | None, now: datetime, run: Kubectl = kubectl) -> Description:
    """Describe a job: a local run by its folder, or what the cluster knows by a name.

    Raises:
        InputError: the folder holds no result that can be read.
        ClusterError: there is no such job, or it cannot be looked at.
    """
    if isinstance(asked, Path):
        return of_run.describe(asked, now)
    found = find_job(asked, namespace, run)
    return of_job.describe(found, now, run) if isinstance(found, AtHub) else of_part.describe(found, now, run)
