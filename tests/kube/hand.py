"""A hub's and a hospital's cluster to play with: `python -m tests.kube.hand up`, and `down` when done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path

from tests.kube.binaries import MISSING, binaries
from tests.kube.build import cache
from tests.kube.control_plane import ControlPlane


def up(folder: Path) -> int:
    """Start both, and leave them running."""
    found = binaries()
    if found is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    if (folder / "pids.json").exists():
        sys.stderr.write("they are up already, or were when this machine stopped: make kube-down\n")
        return 1
    pids: list[int] = []
    for name in ("hub", "hospital"):
        plane = ControlPlane(found, folder / name)
        plane.start()
        plane.start_controllers()
        plane.start_scheduler()
        plane.start_nodes(f"{name}-1", f"{name}-2")
        pids += plane.pids()
        (folder / "pids.json").write_text(json.dumps(pids))
        sys.stdout.write(f"export KUBECONFIG={plane.admin_kubeconfig}   # {name}\n")
    sys.stdout.write(f"export PATH={found}:$PATH\nkubectl apply -f operator/crds\n# make kube-down ends both\n")
    return 0


def down(folder: Path) -> int:
    """End what `up` started, and forget what was in it."""
    try:
        pids = json.loads((folder / "pids.json").read_text())
    except FileNotFoundError:
        sys.stderr.write("nothing is up\n")
        return 1
    for pid in reversed(pids):
        if _is_ours(pid, folder):
            os.kill(pid, signal.SIGKILL)  # what it knows is thrown away with it
    shutil.rmtree(folder)
    return 0


def _is_ours(pid: int, folder: Path) -> bool:
    # A number may belong to somebody else by now.
    try:
        return str(folder) in Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit({"up": up, "down": down}[sys.argv[1]](cache() / "by-hand"))
