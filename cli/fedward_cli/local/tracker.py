"""Logs a local run to MLflow from a process of its own, so that nothing there can slow training down or fail it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable

from fedward_cli.local.folder import Folder
from fedward_cli.local.processes import Backoff
from fedward_cli.problems import InputError, Problem
from fedward_cli.tracking.settings import NOT_INSTALLED, SETTINGS, is_installed
from fedward_operator.api.tracking import Tracking

PROGRAM = (sys.executable, "-m", "fedward_cli.tracking")
LONGEST_WAIT_S = 60.0
"""How long a run that has ended waits for MLflow."""
STOP_GRACE_S = 5.0
_GAVE_UP = 1
"""Its exit code when its own patience with the server is at an end."""
BACKOFF = Backoff(limit=5, first_s=1.0)


class Tracker:
    """Keeps `fedward track` running beside a run, on the run's own folder; it ends by itself once the run is over.

    Raises:
        InputError: the job wants to be tracked, and MLflow's client is not installed.
    """

    def __init__(self, folder: Folder, tracking: Tracking | None, say: Callable[[str], None]) -> None:
        if tracking is not None and not is_installed():
            raise InputError([Problem("spec.tracking", (), NOT_INSTALLED)])
        self._folder, self._tracking, self._say = folder, tracking, say
        self._is_over = False
        self._stopped = threading.Event()
        self._process: subprocess.Popen[str] | None = None
        # A thread, because the run's event loop is gone while the last of it is waited for.
        self._thread = threading.Thread(target=self._keep, name="tracker", daemon=True)

    def start(self) -> None:
        """Start to follow the run; the folder is held by this process until `finish`."""
        if self._tracking is not None:
            settings = self._tracking.model_dump_json(by_alias=True)
            (self._folder.run / SETTINGS).write_text(settings + "\n", encoding="utf-8")
            self._thread.start()

    def finish(self, longest_wait_s: float = LONGEST_WAIT_S) -> None:
        """Wait until everything is logged, but no longer than this; the folder has been let go of."""
        self._is_over = True
        if self._tracking is None:
            return
        with contextlib.suppress(KeyboardInterrupt):
            self._thread.join(longest_wait_s)
        self._stopped.set()
        if self._thread.is_alive() and self._process is not None:
            self._process.terminate()
            self._thread.join(STOP_GRACE_S)
        self.kill()
        if self._process is None or self._process.returncode != 0:
            self._say(f"log the rest later with: fedward track {self._folder.out}")

    def kill(self) -> None:
        """End it now."""
        self._stopped.set()
        while self._thread.is_alive():
            # Asked again, because it may have been started this very moment.
            if self._process is not None:
                self._process.kill()
            self._thread.join(0.1)

    def _keep(self) -> None:
        failures = 0
        while (code := self._once()) != 0 and not self._stopped.is_set():
            if code == _GAVE_UP and self._is_over:
                return
            failures += 1
            if failures > BACKOFF.limit:
                self._say(f"logging to MLflow keeps failing; see {self._folder.log('tracker')}")
                return
            if self._stopped.wait(BACKOFF.delay_s(failures, 0.5)):
                return

    def _once(self) -> int:
        """Run it, passing on what it says; what goes wrong inside it is in its log."""
        with (
            self._folder.log("tracker").open("ab") as log,
            # In a session of its own: Ctrl-C stops the run, and how that ended is logged too.
            subprocess.Popen(  # noqa: S603 - our own program
                (*PROGRAM, str(self._folder.out)),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            self._process = process
            assert process.stdout is not None
            for line in process.stdout:
                self._say(line.rstrip("\n"))
        return process.returncode
