"""The tracker's process: `follow` while a job trains, `finish` once it has ended."""

import logging
import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from fedward_cli.tracking.at_hub.arguments import Finish, read
from fedward_cli.tracking.settings import settle
from fedward_protocol import logs, probes, scraping
from fedward_protocol.plan import Plan

AUTHORITY = Path("/mlflow/ca.crt")
"""Where the authority of the Secret that the job names is mounted, if it has one."""
_UNREADY = 1

_log = logging.getLogger("fedward_cli.tracking.at_hub")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the operator asks for, and return the exit code."""
    asked = read(arguments)
    logs.configure("tracker")
    settle_in_pod(os.environ, AUTHORITY, is_ending=isinstance(asked, Finish))
    plan = Plan.parse(asked.plan.read_bytes())
    logs.bind(job=f"{plan.job.namespace}/{plan.job.name}", attempt=asked.attempt)
    # MLflow's client reads the environment as it is imported.
    from fedward_cli.tracking.at_hub.finishing import finish_job
    from fedward_cli.tracking.at_hub.following import follow_job

    try:
        return finish_job(asked, plan) if isinstance(asked, Finish) else follow_job(asked, plan)
    except probes.ListenError as error:
        _log.critical("%s; free the port, or name another with --metrics", error)
        return _UNREADY
    except scraping.UnusableError as error:
        _log.critical("%s", error)
        return _UNREADY


def settle_in_pod(environ: MutableMapping[str, str], authority: Path, *, is_ending: bool) -> None:
    """Set what MLflow's client goes by where its lines are collected and its trust is mounted."""
    if is_ending:
        # A server answers once it has handed a model on to where it keeps it, and nobody waits for this process.
        environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
    settle(environ)
    # It would write lines of its own form beside ours.
    environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")
    if authority.exists():
        environ["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(authority)


if __name__ == "__main__":
    sys.exit(main())
