"""What a site should be doing now: read off the state, so it can be told again after any break."""

from __future__ import annotations

from dataclasses import dataclass

from fedward_protocol.reasons import Reason
from fedward_server.events import Model
from fedward_server.rounds.state import JobState, Phase


@dataclass(frozen=True, slots=True)
class Train:
    """Train on `model` and submit the update of `round`; evaluate the model first where asked."""

    round: int
    model: Model
    evaluate: bool


@dataclass(frozen=True, slots=True)
class Evaluate:
    """Evaluate the last model."""

    model: Model


@dataclass(frozen=True, slots=True)
class Stay:
    """Nothing to do for now."""

    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The job is complete; `model` is its result."""

    model: Model


@dataclass(frozen=True, slots=True)
class Abort:
    """The job has failed, or goes on without the site."""

    reason: Reason
    message: str


Instruction = Train | Evaluate | Stay | Finish | Abort


def instruction_for(state: JobState, site: str) -> Instruction:
    """Say what the site should be doing in this state."""
    if state.sites[site].is_dismissed:
        return Abort(Reason.SITE_REVOKED, "")
    if state.failure is not None:
        return Abort(state.failure.reason, state.failure.message)
    model = state.latest
    match state.phase:
        case Phase.TRAINING if model is not None and site not in state.arrivals:
            evaluate = model.round % state.plan.evaluation.every == 0
            return Train(state.round, model, evaluate)
        case Phase.TRAINING:
            return Stay("the other sites' updates")
        case Phase.AGGREGATING:
            return Stay("the next model")
        case Phase.EVALUATING if model is not None and site not in state.evaluations:
            return Evaluate(model)
        case Phase.EVALUATING:
            return Stay("the other sites' evaluations")
        case Phase.COMPLETED if state.best is not None:
            return Finish(state.best)
        case _:
            return Stay("the other sites")
