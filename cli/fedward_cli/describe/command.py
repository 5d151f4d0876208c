"""Which of the three descriptions a name asks for."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from fedward_cli.cluster.kubectl import Kubectl, kubectl
from fedward_cli.cluster.whose import AtHub, find_job
from fedward_cli.describe import of_job, of_part, of_run
from fedward_cli.describe.description import Description
from fedward_cli.progress.of_folder import is_run


def describe(name: str, namespace: str | None, now: datetime, run: Kubectl = kubectl) -> Description:
    """Describe a job: a local run where the name is its folder, else what the cluster knows by that name.

    Raises:
        ClusterError: there is no such job, or it cannot be looked at.
    """
    if is_run(Path(name)):
        return of_run.describe(Path(name), now)
    found = find_job(name, namespace, run)
    return of_job.describe(found, now, run) if isinstance(found, AtHub) else of_part.describe(found, now, run)
