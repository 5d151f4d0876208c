"""A job's state, and how each event changes it; pure, so that replaying the journal gives the very same state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from fedward_protocol.metric_names import first_names
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason
from fedward_server import events
from fedward_server.rounds.scoring import is_better, score_all


class Phase(StrEnum):
    """What the job is doing; the words are those of JobStatus.state."""

    WAITING = "Waiting"
    TRAINING = "Training"
    AGGREGATING = "Aggregating"
    EVALUATING = "Evaluating"
    COMPLETED = "Completed"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Part:
    """A site's part in a round that was made into a model: its update, and its share in the aggregate, 0 to 1."""

    update: events.UpdateArrived
    share: float
    opened_at: float
    """When the round was opened."""


@dataclass(frozen=True, slots=True)
class Site:
    """What is known of a site for good; whether it is there right now is not a fact of the journal."""

    cases: events.Cases | None = None
    failure: events.SiteFailed | None = None
    is_dismissed: bool = False
    metrics: Mapping[str, events.Mean] = field(default_factory=dict)
    """Of the last model that it evaluated."""
    evaluated_round: int | None = None
    """The round of that model; None before the first."""
    part: Part | None = None
    """In the last round that counted it."""
    receipt: tuple[int, int, bytes] | None = None
    """(attempt, round, digest) of its last update, so that a lost receipt can be given again."""

    @property
    def reason_gone(self) -> Reason | None:
        """Why it takes no part any more; None while it does."""
        if self.is_dismissed:
            return Reason.SITE_REVOKED
        return self.failure.reason if self.failure is not None else None


@dataclass(frozen=True, slots=True)
class JobState:
    """Everything that the journal says; times are Unix seconds."""

    plan: Plan
    phase: Phase = Phase.WAITING
    attempt: int = 0
    started_at: float = 0.0
    round: int = 0
    """The open round, or the last one once all are closed; 0 before the first."""
    opened_at: float = 0.0
    """Since when the open round, the first hellos or the evaluations are awaited."""
    arrivals: Mapping[str, events.UpdateArrived] = field(default_factory=dict)
    """Of the open round, or of the one being aggregated."""
    closed: events.RoundClosed | None = None
    """The round that is closed and not yet aggregated."""
    latest: events.Model | None = None
    previous: events.Model | None = None
    best: events.Model | None = None
    best_score: float | None = None
    scores: Mapping[str, float] = field(default_factory=dict)
    """Means over all cases, of the last model that a whole round's sites evaluated."""
    metric_names: frozenset[str] = frozenset()
    """Those that are shown: the plan's, and the first ones that sites said."""
    evaluations: Mapping[str, events.SiteEvaluated] = field(default_factory=dict)
    """Of the last model."""
    sites: Mapping[str, Site] = field(default_factory=dict)
    failure: events.JobFailed | None = None
    last_event_at: float = 0.0

    @property
    def dismissed_sites(self) -> frozenset[str]:
        """The plan's sites that have no part in the job any more."""
        return frozenset(name for name, site in self.sites.items() if site.is_dismissed)

    @property
    def expected_sites(self) -> tuple[str, ...]:
        """The others, in the plan's order."""
        return tuple(name for name in self.plan.sites if not self.sites[name].is_dismissed)

    @property
    def failed_sites(self) -> Mapping[str, float]:
        """Sites that said they cannot go on, and since when."""
        return {name: site.failure.at for name, site in self.sites.items() if site.failure is not None}

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, well or badly."""
        return self.phase in (Phase.COMPLETED, Phase.FAILED)

    @property
    def kept_models(self) -> tuple[events.Model, ...]:
        """The models that must not be deleted: the latest, the one before and the best."""
        models = (self.latest, self.previous, self.best)
        return tuple({model.round: model for model in models if model is not None}.values())

    @property
    def kept_rounds(self) -> frozenset[tuple[int, int]]:
        """The (attempt, round) pairs whose updates must stay; a closed round may be of an older attempt."""
        arrived = {(update.attempt, update.round) for update in self.arrivals.values()}
        return frozenset(arrived | ({(self.attempt, self.round)} if self.phase is Phase.TRAINING else set()))


def begin(plan: Plan) -> JobState:
    """Give the state of a job to which nothing has happened yet."""
    names = frozenset({plan.evaluation.metric})
    return JobState(plan=plan, sites={site: Site() for site in plan.sites}, metric_names=names)


def replay(
    plan: Plan, history: Iterable[events.AnyEvent], witness: Callable[[JobState, events.AnyEvent], object] | None = None
) -> JobState:
    """Give the state after all of a journal's events; `witness` is told each, and the state in which it happened."""
    state = begin(plan)
    for event in history:
        if witness is not None:
            witness(state, event)
        state = apply(state, event)
    return state


def apply(state: JobState, event: events.AnyEvent) -> JobState:  # noqa: C901 - one case for each kind of event
    """Give the state after one more event."""
    state = replace(state, last_event_at=max(state.last_event_at, event.at))
    match event:
        case events.AttemptStarted():
            return _start_attempt(state, event)
        case events.SiteJoined():
            return _with_site(state, event.site, replace(state.sites[event.site], cases=event.cases, failure=None))
        case events.SiteFailed():
            return _with_site(state, event.site, replace(state.sites[event.site], failure=event))
        case events.SiteDismissed():
            return _dismiss(state, event.site)
        case events.TrainingStarted():
            return replace(state, phase=Phase.TRAINING, round=1, opened_at=event.at)
        case events.UpdateArrived():
            return _take_update(state, event)
        case events.RoundClosed():
            return _close_round(state, event)
        case events.ModelMade():
            return _take_model(state, event)
        case events.SiteEvaluated():
            return _take_evaluation(state, event)
        case events.JobCompleted():
            reports = [state.evaluations[site].metrics for site in state.plan.sites if site in state.evaluations]
            return replace(_score(state, state.latest, reports), phase=Phase.COMPLETED)
        case events.JobFailed():
            return replace(state, phase=Phase.FAILED, failure=event)


def _with_site(state: JobState, name: str, site: Site) -> JobState:
    return replace(state, sites={**state.sites, name: site})


def _with_names(state: JobState, metrics: Mapping[str, events.Mean]) -> JobState:
    counted = (name for name, mean in metrics.items() if mean.count)
    return replace(state, metric_names=first_names(state.metric_names, counted))


def _dismiss(state: JobState, name: str) -> JobState:
    """Leave out what a site has delivered, as far as no round has closed with it: what has is in the model already."""
    state = _with_site(state, name, Site(cases=state.sites[name].cases, is_dismissed=True))
    evaluations = {site: done for site, done in state.evaluations.items() if site != name}
    if state.closed is not None:
        return replace(state, evaluations=evaluations)
    arrivals = {site: update for site, update in state.arrivals.items() if site != name}
    return replace(state, arrivals=arrivals, evaluations=evaluations)


def _start_attempt(state: JobState, event: events.AttemptStarted) -> JobState:
    """Take the job up again where its last model left it; what sites had failed at gets another chance.

    A round that was closed stays closed, and opened when it was: its updates were chosen, and the result must be the
    one they make.
    """
    sites = {name: replace(site, failure=None) for name, site in state.sites.items()}
    started_at = state.started_at if state.attempt else event.at
    opened_at = event.at if state.closed is None else state.opened_at
    state = replace(state, attempt=event.attempt, sites=sites, failure=None, opened_at=opened_at, started_at=started_at)
    if state.phase is Phase.COMPLETED:
        return state
    if state.closed is not None:
        return replace(state, phase=Phase.AGGREGATING)
    if state.round == 0:
        return replace(state, phase=Phase.WAITING)
    if state.latest is not None and state.latest.round == state.plan.rounds.count:
        return replace(state, phase=Phase.EVALUATING)
    return replace(state, phase=Phase.TRAINING, arrivals={})


def _take_update(state: JobState, event: events.UpdateArrived) -> JobState:
    receipt = (event.attempt, event.round, event.digest)
    site = replace(state.sites[event.site], receipt=receipt)
    if event.report.metrics:
        site = replace(site, metrics=event.report.metrics, evaluated_round=event.round - 1)
        state = _with_names(state, event.report.metrics)
    return replace(_with_site(state, event.site, site), arrivals={**state.arrivals, event.site: event})


def _take_evaluation(state: JobState, event: events.SiteEvaluated) -> JobState:
    site = replace(state.sites[event.site], metrics=event.metrics, evaluated_round=event.round)
    state = _with_names(state, event.metrics)
    return replace(_with_site(state, event.site, site), evaluations={**state.evaluations, event.site: event})


def _close_round(state: JobState, event: events.RoundClosed) -> JobState:
    """Judge the model that the round's sites evaluated, the one that they started from."""
    reports = [state.arrivals[site].report.metrics for site in state.plan.sites if site in event.counted]
    state = _score(state, state.latest, reports)
    return replace(state, phase=Phase.AGGREGATING, closed=event)


def _take_model(state: JobState, event: events.ModelMade) -> JobState:
    state = replace(state, latest=event.model, previous=state.latest, best=state.best or event.model)
    if event.model.round == 0:
        return state
    if state.best_score is None:
        state = replace(state, best=event.model)
    counted = state.closed.counted if state.closed is not None else ()
    parts = {name: Part(state.arrivals[name], event.shares.get(name, 0.0), state.opened_at) for name in counted}
    sites = {name: replace(site, part=parts.get(name, site.part)) for name, site in state.sites.items()}
    last = event.model.round == state.plan.rounds.count
    return replace(
        state,
        phase=Phase.EVALUATING if last else Phase.TRAINING,
        round=event.model.round if last else event.model.round + 1,
        opened_at=event.at,
        arrivals={},
        closed=None,
        sites=sites,
    )


def _score(state: JobState, model: events.Model | None, reports: Sequence[Mapping[str, events.Mean]]) -> JobState:
    scores = {name: score for name, score in score_all(reports).items() if name in state.metric_names}
    found = scores.get(state.plan.evaluation.metric)
    state = replace(state, scores=scores or state.scores)
    return replace(state, best=model, best_score=found) if is_better(found, state.best_score) else state
