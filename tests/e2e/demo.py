"""The federation of the end-to-end tests, to look at: `python -m tests.e2e.demo up`, and `down` when done."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from tests.e2e.images import archives
from tests.e2e.installation import RESEARCH, Installation, ended
from tests.kube.binaries import MISSING, binaries
from tests.kube.container_runtime import ContainerRuntime, unmount_below
from tests.kube.network import Namespace

FOLDER = Path("/var/tmp/fedward-demo")
_JOB = "brain-tumour"


def up() -> int:
    """Start and install everything, apply the example, follow it to its end, and leave everything running."""
    if binaries() is None:
        sys.stderr.write(f"{MISSING}\n")
        return 1
    if FOLDER.exists():
        sys.stderr.write("it is up already, or was when this machine stopped: make cluster-demo-down\n")
        return 1
    FOLDER.mkdir()
    shown = Installation(FOLDER, archives())
    try:
        shown.start()
        _say("two clusters are up, and nobody outside can begin to talk to the hospital's")
        shown.install_hub()
        shown.hub.kubectl("create", "namespace", RESEARCH)
        for name in shown.sites:
            shown.install_site(name, shown.invite(name))
            _say(f"{name} has joined")
        shown.apply(_JOB)
        _follow(shown)
    finally:
        if shown.gpus is not None:
            shown.gpus.stop()  # it lives in this process, which ends
        (FOLDER / "pids.json").write_text(json.dumps([*shown.hub.pids(), *shown.hospital.pids()]))
    for cluster in (shown.hub, shown.hospital):
        _say(f"export KUBECONFIG={cluster.plane.admin_kubeconfig}   # {cluster.network.name}")
    _say(f"export PATH={binaries()}:$PATH\nmake cluster-demo-down   # ends it")
    return 0


def _follow(shown: Installation) -> None:
    told = ""
    while True:
        status = shown.status(_JOB)
        line = f"{status.get('state', 'Pending')} {status.get('progress', '')} {status.get('metrics', '')}"
        if line != told:
            _say(line)
            told = line
        if ended(status):
            return
        time.sleep(1)


def down() -> int:
    """End what `up` started, and forget what was in it."""
    if not FOLDER.exists():
        sys.stderr.write("nothing is up\n")
        return 1
    networks = [Namespace(name, "", "", "") for name in ("fw-hub", "fw-hospital")]
    pids = json.loads((FOLDER / "pids.json").read_text())
    # The kubelets first, which would start the containers again; what any of them knows is thrown away with it.
    _kill(pid for pid in reversed(pids) if "containerd.toml" not in _command(pid))
    for network in networks:
        ContainerRuntime(FOLDER, FOLDER, network).end_containers()
    _kill(reversed(pids))
    for folder in (FOLDER, Path("/run/fedward")):
        unmount_below(folder)
        shutil.rmtree(folder, ignore_errors=True)
    for network in networks:
        network.remove()
    return 0


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        # A number may belong to somebody else by now.
        if str(FOLDER) in _command(pid):
            os.kill(pid, signal.SIGKILL)


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit({"up": up, "down": down}[sys.argv[1]]())
