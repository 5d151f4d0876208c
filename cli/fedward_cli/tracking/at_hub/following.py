"""`follow`: logs a job's rounds as they close, as its aggregator tells of them; how it ended is for `finish` to say."""

from __future__ import annotations

import logging
import os
import random
import threading
import time

from fedward_cli.local.history import History
from fedward_cli.local.observe import observe
from fedward_cli.tracking.at_hub.arguments import Follow
from fedward_cli.tracking.at_hub.credentials import Identified
from fedward_cli.tracking.at_hub.exits import DONE, STOPPED
from fedward_cli.tracking.at_hub.folder import fresh_folder
from fedward_cli.tracking.at_hub.metrics import Metrics
from fedward_cli.tracking.at_hub.observing import Listener, Observing
from fedward_cli.tracking.at_hub.told import Told
from fedward_cli.tracking.follow import Patience, follow
from fedward_cli.tracking.logbook import Logbook
from fedward_cli.tracking.mlflow_run import MlflowRun
from fedward_cli.tracking.subject import subject_of
from fedward_cli.tracking.terminable import terminable
from fedward_cli.tracking.trouble import TrackingError
from fedward_protocol import probes
from fedward_protocol.certificate import CertificateFolder
from fedward_protocol.plan import Plan

GRACE = Patience(total_s=3.0, longest_retry_s=1.0)
"""Once the job's last word was heard: `finish` waits for this process, and logs what is missing then."""
LAST_TRY_S = 3
"""How long the server has to hear that the job was stopped, of the seconds that a pod is given to end."""

_log = logging.getLogger(__name__)


def follow_job(asked: Follow, plan: Plan) -> int:
    """Log rounds until the job's last word was heard, or SIGTERM came; return the exit code.

    Raises:
        OSError, ValueError, RefusedError: the certificate cannot be used, or the folder cannot be made.
        ListenError: the port is taken.
    """
    folder, certificates, metrics = fresh_folder(plan), CertificateFolder(asked.tls), Metrics(plan)
    server = f"MLflow at {asked.mlflow.uri}"
    run = MlflowRun(asked.mlflow.uri, subject_of(plan, asked.mlflow.experiment, time.time()), shares_disk=False)
    rounds = Rounds(Logbook(folder, run, plan.evaluation.metric))
    told = Told(Identified(rounds, asked.credentials, os.environ), server, metrics)
    history = History(folder.out)
    listener = Listener(asked.aggregator, history)
    observing = Observing(
        lambda: observe(
            asked.aggregator,
            lambda: certificates.current().credentials,
            plan,
            asked.attempt,
            listener.take,
            random.random,
            missed=listener.missed,
        )
    )

    def trouble() -> str | None:
        return told.trouble or listener.trouble

    with terminable() as terminated:
        try:
            with probes.serve(asked.metrics, metrics.registry, trouble, secured=asked.secured), observing:
                _log.info("following", extra={"aggregator": asked.aggregator, "mlflow": asked.mlflow.uri})
                is_complete = follow(told, server, told.world(observing.goes_on), GRACE)
        except terminated:
            if not history.is_over:
                mark_killed(run)
            return STOPPED
    _log.info("the job is over", extra={"logged_round": told.logged, "complete": is_complete})
    return DONE


class Rounds:
    """A logbook that leaves the job's end out: this process does not know all of it."""

    def __init__(self, book: Logbook) -> None:
        self._book = book

    @property
    def logged(self) -> int:
        """Up to which round everything is logged."""
        return self._book.logged

    def advance(self, *, is_over: bool, now: float) -> None:  # noqa: ARG002 - the end is no business of this one
        """Log the rounds that are not logged.

        Raises:
            TrackingError: the server could not be told.
        """
        self._book.advance(is_over=False, now=now)


def mark_killed(run: MlflowRun) -> None:
    """Say in one short try that the job was stopped; its next attempt says that it is running again."""
    if not run.is_found:
        return
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = str(LAST_TRY_S)

    def tell() -> None:
        try:
            run.set_status("KILLED", time.time())
        except TrackingError as error:
            _log.warning("MLflow does not know that the job was stopped: it %s", error)

    # On a thread that may be left behind: what looks a name up cannot be given a time.
    telling = threading.Thread(target=tell, name="last try", daemon=True)
    telling.start()
    telling.join(LAST_TRY_S)
