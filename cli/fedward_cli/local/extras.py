"""What a run may make besides the model: baselines to compare it with, example slices, the report."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedward_cli.local.commands import Command, environment, threads_of
from fedward_cli.local.folder import Folder
from fedward_cli.local.processes import Supervisor
from fedward_cli.results import BASELINES, EXAMPLES, BaselineRun, Baselines, parse, write_record
from fedward_protocol.plan import Plan

_EXAMPLE_SITES = 4
"""Sites that example slices are made for; a report with thirteen rows of pictures is not read."""
_CENTRAL = ".central"
"""Stands where a site's name would, and is none."""
_Train = Callable[..., Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Extras:
    """Which of them are wanted."""

    baselines: bool = False
    examples: bool = False
    report: bool = False


async def add(
    wanted: Extras,
    folder: Folder,
    plan: Plan,
    sites: Mapping[str, Path],
    trainer: tuple[str, ...],
    supervisor: Supervisor,
    say: Callable[[str], None],
) -> None:
    """Make what is wanted and not there yet; what cannot be made is said and left out, as the model is there."""
    cores = os.cpu_count() or 1

    async def train(name: str, at_once: int, *arguments: str) -> bool:
        surroundings = environment(os.environ, threads_of(at_once, cores))
        command = Command(name, (*trainer, *arguments), folder.log(name), surroundings)
        # Whatever its exit code: it got the plan and data that the federation got, so it would fail again.
        if await supervisor.keep(command, final=range(256)) == 0:
            return True
        say(f"{name} failed; see {folder.log(name)}")
        return False

    # The built-in task knows how to judge and to show itself; a bundle of the researcher's does not.
    if plan.model.bundle is None:
        if wanted.baselines and not (folder.out / BASELINES).exists():
            await _baselines(folder, plan, sites, train, say)
        if wanted.examples:
            await _examples(folder, plan, sites, train, say)
    if wanted.report:
        from fedward_cli.report import write_report

        await asyncio.to_thread(write_report, folder.out)


async def _baselines(
    folder: Folder, plan: Plan, sites: Mapping[str, Path], train: _Train, say: Callable[[str], None]
) -> None:
    """Train on each site's cases alone, then on all of them, for as many epochs as the federation did.

    One after the other, each on all cores; what a run before this one has finished is not trained again.
    """
    epochs = plan.rounds.count * plan.training.local_epochs
    found: dict[str, BaselineRun] = {}
    for name, pooled in (*((site, (site,)) for site in sites), (_CENTRAL, tuple(sites))):
        out = folder.run / "baselines" / f"{name}.json"
        out.parent.mkdir(exist_ok=True)
        if not out.exists():
            say(f"baseline: training on {name if name != _CENTRAL else 'all sites together'}, {epochs} epochs")
            data = [part for site in pooled for part in ("--data", f"{site}={sites[site]}")]
            arguments = ("--plan", str(folder.plan), *data, "--epochs", str(epochs), "--out", str(out))
            if not await train(f"baseline-{name}", 1, "baseline", *arguments):
                return
        found[name] = parse(BaselineRun, out.read_bytes(), str(out)).model_copy(update={"epochs": epochs})
    central = found.pop(_CENTRAL)
    write_record(folder.out / BASELINES, Baselines(local=found, central=central))


async def _examples(
    folder: Folder, plan: Plan, sites: Mapping[str, Path], train: _Train, say: Callable[[str], None]
) -> None:
    """Let the model predict a few held-out cases at some of the sites, all at once: most of it is starting up."""
    (folder.out / EXAMPLES).mkdir(exist_ok=True)
    outs = {site: folder.out / EXAMPLES / f"{site}.npz" for site in plan.sites[:_EXAMPLE_SITES]}
    missing = [site for site, out in outs.items() if not out.exists()]
    if missing:
        say("drawing example slices")
    common = ("examples", "--plan", str(folder.plan), "--model", str(folder.model))
    await asyncio.gather(
        *(
            train(f"examples-{site}", len(missing), *common, "--data", str(sites[site]), "--out", str(outs[site]))
            for site in missing
        )
    )
