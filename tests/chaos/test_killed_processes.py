"""SIGKILL at drawn instants of a round: the run completes, with the same model to the bit."""

from __future__ import annotations

import hashlib
import os
import random
import signal
from pathlib import Path

import pytest
from toy_federation import SITES, federate

from fedward_cli.local.view import Silent
from fedward_node.gateway.audit import verify

pytestmark = pytest.mark.process

VICTIMS = {
    "aggregator": "fedward_server",
    "gateway": "fedward_node.gateway",
    "trainer": "toy_trainer.py",
}


class Killer(Silent):
    """Kills one of the run's processes of a kind, at each of the drawn observations."""

    def __init__(self, out: Path, program: str, seed: int) -> None:
        self._out, self._program, self._drawn = str(out), program, random.Random(seed)
        self._at = {self._drawn.randrange(1, 30) for _ in range(3)}
        self._seen = 0
        self.killed = 0

    def observed(self, history, closed):
        self._seen += 1
        if self._seen not in self._at:
            return
        victims = [pid for pid, line in _processes() if self._program in line and self._out in line]
        if victims:
            os.kill(self._drawn.choice(sorted(victims)), signal.SIGKILL)
            self.killed += 1


def _processes():
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                yield int(folder.name), (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue


def digest(folder):
    return hashlib.sha256((folder / "out" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    assert federate(folder).state == "Completed"
    return digest(folder)


@pytest.mark.parametrize("seed", range(int(os.environ.get("FEDWARD_CHAOS_SEEDS", "2"))))
@pytest.mark.parametrize("kind", VICTIMS)
def test_a_killed_process_changes_nothing_in_the_result(tmp_path, undisturbed, kind, seed):
    killer = Killer(tmp_path / "out", VICTIMS[kind], seed)
    result = federate(tmp_path, killer)
    assert result.state == "Completed"
    assert killer.killed > 0
    assert digest(tmp_path) == undisturbed
    assert all(verify(tmp_path / "out" / "audit" / site).broken is None for site in SITES)
