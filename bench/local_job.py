"""What a whole local job costs besides its training: `fedward run` with a trainer that only does sums."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from fedward_cli.documents import load_documents
from fedward_cli.local.run import run_local

ROOT = Path(__file__).parent.parent
JOB = ROOT / "examples" / "brain-tumour.yaml"
TRAINER = ROOT / "tests" / "process" / "toy_trainer.py"
SITES = 4


@dataclass(frozen=True, slots=True)
class LocalJob:
    """Seconds from start to result, and what of it was Python importing modules, with all processors busy at it."""

    seconds: float
    import_seconds: float


def measure() -> LocalJob:
    """Run one round of the example job at its four sites."""
    with tempfile.TemporaryDirectory(prefix="fedward-bench-") as folder:
        data = Path(folder) / "data"
        documents = load_documents(_job_on(data, Path(folder)), ["rounds.count=1"])
        started = time.perf_counter()
        result = run_local(documents, Path(folder) / "out", trainer_command=(sys.executable, str(TRAINER)))
        seconds = time.perf_counter() - started
    if result.state != "Completed":
        raise RuntimeError(f"the local job ended as {result.state}")
    return LocalJob(seconds, _import_seconds())


def _job_on(data: Path, folder: Path) -> Path:
    for site in ("north", "south", "east", "west"):
        (data / site).mkdir(parents=True)
    copy = folder / "job.yaml"
    copy.write_text(JOB.read_text().replace("../data/phantom", str(data)))
    return copy


def _import_seconds() -> float:
    work = _cpu("import fedward_server.main") + SITES * _cpu("import fedward_node.gateway.main")
    work += (SITES + 1) * _cpu("import fedward_node.trainer.main, fedward_node.trainer.run")
    return work / (os.cpu_count() or 1)


def _cpu(statement: str) -> float:
    before = os.times()
    subprocess.run([sys.executable, "-c", statement], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system
