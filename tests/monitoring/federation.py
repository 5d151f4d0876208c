"""A live federation of four sites on this machine, for Prometheus to look at for as long as a test wants."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from tests.monitoring.small_volumes import with_volumes

SITES = ("east", "north", "south", "west")
JOB = {"job_namespace": "research", "job_name": "brain-tumour"}
TOY = Path(__file__).resolve().parents[1] / "process"
TRAINER = Path(__file__).with_name("scored_trainer.py")
NO_LIMITS: Mapping[str, float] = MappingProxyType({})
NO_VOLUMES: Mapping[str, int] = MappingProxyType({})
A_YEAR = 366
BRISK_S, STEADY_S = 0.02, 0.12
"""Of a step of training: for rounds of half a second, or of three, in which a trainer says how it goes."""
EPSILON = 10.0
"""Enough for some hundred rounds."""

_JOB = """
apiVersion: fedward.io/v1alpha1
kind: FederatedJob
metadata: {name: brain-tumour, namespace: research}
spec:
  model: {network: {name: UNet}}
  data: {dataset: brats}
  sites: {names: [east, north, south, west]}
  rounds: {count: 2000, quorum: 3, deadline: 5m, grace: 2s}
  privacy: {filters: [{name: gaussianNoise, maxNorm: 1.0, multiplier: 12}]}
  backoffLimit: 100
"""
_SITE = """
---
apiVersion: fedward.io/v1alpha1
kind: FederatedSite
metadata: {name: %(site)s}
---
apiVersion: fedward.io/v1alpha1
kind: SitePolicy
metadata: {name: %(site)s}
spec:
  datasets: [{name: brats, volume: {hostPath: {path: %(folder)s}}}]
  privacy: {budget: {epsilon: %(epsilon)s, delta: 1.0e-2}}
  export: {metrics: %(exports)s}
"""
_DRIVER = """
import os
import sys
from datetime import timedelta
from pathlib import Path
from fedward_cli.documents import load_documents
from fedward_cli.local import credentials
from fedward_cli.local.run import run_local
credentials.LIFETIME = timedelta(days=int(os.environ["CERTIFICATE_DAYS"]))
file, out, *rest = sys.argv[1:]
trainer = rest[rest.index("--") + 1 :]
run_local(load_documents(Path(file), rest[: rest.index("--")]), Path(out), trainer_command=tuple(trainer))
"""


class Run:
    """A run in a process of its own; ends as a context manager, and everything with it.

    Args:
        folder: where its output goes.
        out: the run's own folder.
        command: what runs it.
        more: of the environment.
    """

    def __init__(self, folder: Path, out: Path, command: Sequence[str], more: Mapping[str, str]) -> None:
        self.folder, self.out = folder, out
        with (folder / "run.log").open("wb") as log:
            self._run = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | more)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in self.processes():
            self.thaw(name)  # a frozen process would have to be killed in the end
        self._run.send_signal(signal.SIGINT)
        self._run.wait(60)

    def processes(self) -> Mapping[str, int]:
        """Give the pid of each process of the run that is there, by its name: `aggregator`, `gateway-north`."""
        found = {}
        for pid, arguments in self._commands():
            name = _name(arguments)
            if name is not None:
                found[name] = pid
        return found

    def addresses(self) -> Mapping[str, str]:
        """Give where each process shows its metrics, by its name."""
        return {
            name: arguments[arguments.index("--metrics") + 1]
            for _, arguments in self._commands()
            if (name := _name(arguments)) and "--metrics" in arguments
        }

    def freeze(self, name: str) -> None:
        """Let a process do nothing at all from now on; its connections stay."""
        os.kill(self.processes()[name], signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        os.kill(self.processes()[name], signal.SIGCONT)

    def _commands(self) -> list[tuple[int, list[str]]]:
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(f"{self.out}/run" in argument for argument in arguments):
                found.append((int(entry.name), arguments))
        return found


class Federation(Run):
    """Four sites that train a toy for as long as one looks."""

    def __init__(
        self,
        folder: Path,
        *settings: str,
        budgets: Mapping[str, float] = NO_LIMITS,
        step_s: float,
        metric: str = "dice",
        certificate_days: int = A_YEAR,
        volumes: Mapping[str, int] = NO_VOLUMES,
    ) -> None:
        """Start them.

        Args:
            folder: where everything lies.
            settings: of the job, as `--set` takes them.
            budgets: ε by site; `EPSILON` for the others.
            step_s: seconds of a step of training.
            metric: what the sites score, and the job chooses its best model by.
            certificate_days: how long the certificates hold.
            volumes: bytes by folder of the run, where that lies on a volume of its own.
        """
        out, self._faults = folder / "out", folder / "faults"
        self._faults.mkdir()
        file = folder / "job.yaml"
        file.write_text(_JOB + "".join(_site(folder, name, budgets.get(name, EPSILON)) for name in SITES))
        paths = os.pathsep.join([str(TOY), os.environ.get("PYTHONPATH", "")]).strip(os.pathsep)
        trainer, settings = [sys.executable, str(TRAINER)], (*settings, f"evaluation.metric={metric}")
        command = [sys.executable, "-c", _DRIVER, str(file), str(out), *settings, "--", *trainer]
        sizes = {out / "run" / name: nbytes for name, nbytes in volumes.items()}
        super().__init__(
            folder,
            out,
            with_volumes(sizes, command) if sizes else command,
            {
                "PYTHONPATH": paths,
                "FAULTS": str(self._faults),
                "STEP_S": str(step_s),
                "METRIC": metric,
                "CERTIFICATE_DAYS": str(certificate_days),
            },
        )

    def spoil(self, fault: str) -> None:
        """Let a site's trainer do badly from now on: `spoil-west`, `forget-west`, `stall-west`."""
        (self._faults / fault).touch()

    def mend(self, fault: str) -> None:
        """Let it do well again."""
        (self._faults / fault).unlink()


def _site(folder: Path, name: str, epsilon: float) -> str:
    (folder / name).mkdir()
    exports = json.dumps(["casesPerSecond", "gpuUtilisation"])
    return _SITE % {"site": name, "folder": folder / name, "epsilon": epsilon, "exports": exports}


def _name(arguments: list[str]) -> str | None:
    """Tell which process of a run a command line is."""
    if "fedward_server" in arguments:
        return "aggregator"
    if "fedward_node.gateway" in arguments:
        return f"gateway-{Path(arguments[arguments.index('--tls') + 1]).name}"
    if "--work-order" in arguments:
        return f"trainer-{Path(arguments[arguments.index('--work-order') + 1]).stem}"
    return None
