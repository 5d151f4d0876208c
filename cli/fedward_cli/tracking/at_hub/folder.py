"""Where a tracker keeps what it logs: a folder like a local run's, made anew by each process."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from fedward_cli.local.folder import Folder
from fedward_protocol.plan import Plan


def fresh_folder(plan: Plan) -> Folder:
    """Make the folder of a job, with its plan; what a process before this one left there goes away.

    Raises:
        OSError: it cannot be made.
    """
    place = Path(tempfile.gettempdir()) / "tracker"
    shutil.rmtree(place, ignore_errors=True)
    folder = Folder(place)
    folder.make()
    folder.plan.write_bytes(plan.canonical())
    return folder
