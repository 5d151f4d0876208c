"""The processes of a federation, from the first model to the aggregator's verdict; a lost one costs what it must."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedward_cli.local.commands import Commands
from fedward_cli.local.processes import Supervisor
from fedward_cli.results import Problem
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, describe

COMPLETED, FAILED = 0, 3
"""Exit codes of the aggregator after which starting it again changes nothing."""
REFUSED = 4
"""Exit code of a trainer that cannot take part."""

_VERDICT_S = 5.0
"""How long the aggregator has to say itself what a lost quorum means, before it is said for it."""
_FAREWELL_S = 5.0
"""How long trainers have to end by themselves, and the observer to hear the end, once the job is over."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it ended; no `failure` on a failed run means that the aggregator's last status has it."""

    completed: bool
    failure: Problem | None
    problems: tuple[Problem, ...]


async def run(
    plan: Plan,
    commands: Commands,
    supervisor: Supervisor,
    observing: asyncio.Future[None],
    data_folder: Callable[[str], Path],
    *,
    has_model: bool,
) -> Verdict:
    """Start everything at once (each process waits for what it needs) and see it to the end.

    Whatever happens, a cancellation included, every process has ended when this returns.
    """
    keep = supervisor.keep
    # The first model depends on the plan alone, so an error that is not a signal's would only come again.
    making = None if has_model else _task(keep(commands.initialise(), final=range(256)))
    aggregator = _task(keep(commands.aggregator(), final=(COMPLETED, FAILED)))
    gateways = {site: _task(keep(commands.gateway(site), final=())) for site in plan.sites}
    trainers = {site: _task(keep(commands.trainer(site, data_folder(site)), final=(0, REFUSED))) for site in plan.sites}
    try:
        verdict = await _until_over(plan, making, aggregator, gateways, trainers, observing)
        if verdict.completed or verdict.failure is None:
            await asyncio.wait([observing, *trainers.values()], timeout=_FAREWELL_S)  # type: ignore[type-var]
        return verdict
    finally:
        everything = [task for task in (making, aggregator, *gateways.values(), *trainers.values(), observing) if task]
        for task in everything:
            _stop(task)
        await asyncio.gather(*everything, return_exceptions=True)


async def _until_over(
    plan: Plan,
    making: asyncio.Task[int] | None,
    aggregator: asyncio.Task[int],
    gateways: Mapping[str, asyncio.Task[int]],
    trainers: Mapping[str, asyncio.Task[int]],
    observing: asyncio.Future[None],
) -> Verdict:
    problems: dict[str, Problem] = {}
    pending: set[asyncio.Future[Any]] = {aggregator, observing, *gateways.values(), *trainers.values()}
    if making is not None:
        pending.add(making)
    while not aggregator.done():
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        if observing.done():
            # An observer gives up only over what it cannot write down (no space left); that must not pass unnoticed.
            observing.result()
        if making is not None and making.done() and making.result() != 0 and not aggregator.done():
            return Verdict(False, _no_first_model(plan, making.result()), ())
        for site in plan.sites:
            if _finished(trainers[site]):
                # Nobody is left to relay for; stopping it now overlaps with the aggregator's farewell.
                _stop(gateways[site])
        problems = {site: problem for site in plan.sites if (problem := _lost(site, gateways[site], trainers[site]))}
        if len(plan.sites) - len(problems) < plan.rounds.quorum and not aggregator.done():
            await asyncio.wait({aggregator}, timeout=_VERDICT_S)
            break
    lost = tuple(problems.values())
    if not aggregator.done():
        detail = (
            f"{len(plan.sites) - len(lost)} of {len(plan.sites)} sites are left, the quorum is {plan.rounds.quorum}"
        )
        return Verdict(False, Problem(reason=Reason.QUORUM_LOST, detail=detail), lost)
    if aggregator.result() in (COMPLETED, FAILED):
        return Verdict(aggregator.result() == COMPLETED, None, lost)
    return Verdict(False, _given_up("aggregator", describe(Reason.BACKOFF_LIMIT_EXCEEDED)), lost)


def _no_first_model(plan: Plan, exit_code: int) -> Problem:
    """Say why there is no first model; a refusal can only be of the network or of the bundle that makes it."""
    if exit_code != REFUSED:
        return _given_up("initialise", "the first model could not be made")
    reason = Reason.NETWORK_INVALID if plan.model.bundle is None else Reason.BUNDLE_INVALID
    return Problem(reason=reason, detail=f"{describe(reason)}; see logs/initialise.log")


def _lost(site: str, gateway: asyncio.Task[int], trainer: asyncio.Task[int]) -> Problem | None:
    """Say why a site can take part no longer, if it cannot."""
    if _finished(trainer):
        return None
    if gateway.done():
        return _given_up(f"gateway-{site}", describe(Reason.BACKOFF_LIMIT_EXCEEDED), site)
    if trainer.done() and trainer.result() == REFUSED:
        return Problem(reason=Reason.TRAINING_FAILED, detail=f"see logs/trainer-{site}.log", site=site)
    if trainer.done():
        return _given_up(f"trainer-{site}", describe(Reason.BACKOFF_LIMIT_EXCEEDED), site)
    return None


def _finished(trainer: asyncio.Task[int]) -> bool:
    return trainer.done() and trainer.result() == 0


def _given_up(process: str, why: str, site: str | None = None) -> Problem:
    return Problem(reason=Reason.BACKOFF_LIMIT_EXCEEDED, detail=f"{why}; see logs/{process}.log", site=site)


def _stop(task: asyncio.Future[Any]) -> None:
    """Cancel a task, once: told a second time to stop a process, the supervisor kills it."""
    if not (isinstance(task, asyncio.Task) and task.cancelling()):
        task.cancel()


def _task(work: Coroutine[None, None, int]) -> asyncio.Task[int]:
    return asyncio.get_running_loop().create_task(work)
