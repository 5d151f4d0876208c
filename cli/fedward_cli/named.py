"""What JOB means on the command line: the folder of a local run, or a job that a cluster knows by this name."""

from __future__ import annotations

from pathlib import Path

from fedward_cli.problems import InputError, Problem
from fedward_cli.progress.of_folder import is_run


def named(job: str, *, is_of_cluster: bool) -> Path | str:
    """Give the folder of a local run, or else the name to ask the cluster for.

    Args:
        job: the word on the command line.
        is_of_cluster: an option says that the cluster is meant, whatever folder is called the same.

    Raises:
        InputError: it is a folder, but no run's, or can be no job's name.
    """
    folder = Path(job)
    if not is_of_cluster and folder.is_dir():
        if is_run(folder):
            return folder
        message = "holds no result.json; it is no run's --out folder. For a job of this name in the cluster give -n"
        raise InputError([Problem(job, (), message)])
    if "/" in job:
        message = "is no job's name; a run's folder is read without -n, --out, --context and --kubeconfig"
        raise InputError([Problem(job, (), message if is_of_cluster else "is no folder, and no job's name")])
    return job
