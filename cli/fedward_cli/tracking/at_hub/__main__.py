"""The tracker's process: `follow` while a job trains; `collect`, then `finish`, once it has ended."""

import logging
import os
import sys
from collections.abc import MutableMapping, Sequence

from fedward_cli.tracking.at_hub.arguments import Collect, Finish, read
from fedward_cli.tracking.at_hub.collecting import collect_job
from fedward_cli.tracking.at_hub.exits import FAILED
from fedward_cli.tracking.settings import settle
from fedward_protocol import logs, probes, scraping
from fedward_protocol.plan import Plan

_log = logging.getLogger("fedward_cli.tracking.at_hub")


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the operator asks for, and return the exit code."""
    asked = read(arguments)
    logs.configure("tracker")
    plan = Plan.parse(asked.plan.read_bytes())
    logs.bind(job=f"{plan.job.namespace}/{plan.job.name}")
    if isinstance(asked, Collect):
        return collect_job(asked, plan)
    logs.bind(attempt=asked.attempt)
    settle_in_pod(os.environ, is_ending=isinstance(asked, Finish))
    # MLflow's client reads the environment as it is imported.
    from fedward_cli.tracking.at_hub.finishing import finish_job
    from fedward_cli.tracking.at_hub.following import follow_job

    try:
        return finish_job(asked, plan) if isinstance(asked, Finish) else follow_job(asked, plan)
    except probes.ListenError as error:
        _log.critical("%s; free the port, or name another with --metrics", error)
        return FAILED
    except scraping.UnusableError as error:
        _log.critical("%s", error)
        return FAILED


def settle_in_pod(environ: MutableMapping[str, str], *, is_ending: bool) -> None:
    """Set what MLflow's client goes by where its lines are collected."""
    if is_ending:
        # A server answers once it has handed a model on to where it keeps it, and nobody waits for this process.
        environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "300")
    settle(environ)
    # It would write lines of its own form beside ours.
    environ.setdefault("MLFLOW_CONFIGURE_LOGGING", "false")


if __name__ == "__main__":
    sys.exit(main())
