"""Jobs driven at random through the state machine: what must hold in every history, and after a restart anywhere."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from fedward_protocol.plan import Data, JobIdentity, Model, Network, Plan, Rounds
from fedward_protocol.reasons import Reason
from fedward_server import events
from fedward_server.rounds.closing import Wait
from fedward_server.rounds.deciding import Aggregate, Happen, Presence, Rest, decide
from fedward_server.rounds.instructing import Abort, Finish, Train, instruction_for
from fedward_server.rounds.state import Phase, apply, begin, replay

SITES = ("a", "b", "c", "d")
PLAN = Plan(
    federation="north.example",
    job=JobIdentity(name="job", namespace="research", uid="0123456789"),
    sites=SITES,
    model=Model(network=Network()),
    data=Data(dataset="brats"),
    rounds=Rounds(count=3, quorum=2, deadline_s=50, grace_s=5),
)

site = st.sampled_from(SITES)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("come"), site),
        st.tuples(st.just("come"), site),
        st.tuples(st.just("go"), site),
        st.tuples(st.just("submit"), site),
        st.tuples(st.just("submit"), site),
        st.tuples(st.just("submit"), site),
        st.tuples(st.just("evaluate"), site),
        st.tuples(st.just("fail"), site),
        st.tuples(st.just("dismiss"), site),
        st.tuples(st.just("pass"), st.floats(0.1, 60)),
        st.tuples(st.just("attempt"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=80,
)


class Run:
    """A job without I/O: what the aggregator does, with lists for journal and disk."""

    def __init__(self):
        self.now = 1000.0
        self.history = []
        self.state = begin(PLAN)
        self.away = dict.fromkeys(SITES, self.now)
        self.happen(events.AttemptStarted(at=self.now, attempt=1, plan=PLAN.digest()))
        self.happen(events.ModelMade(at=self.now, model=model(0), seconds=0, shares={}))

    def happen(self, event):
        self.history.append(event)
        self.state = apply(self.state, event)

    def settle(self):
        """Do what the decisions say until they say wait."""
        for _ in range(20):
            presence = Presence(frozenset(SITES) - self.away.keys(), self.away)
            match decide(self.state, presence, self.now):
                case Happen(event):
                    self.happen(event)
                case Aggregate(closed):
                    shares = dict.fromkeys(closed.counted, 1 / len(closed.counted))
                    self.happen(events.ModelMade(at=self.now, model=model(closed.round), seconds=1, shares=shares))
                case Wait() | Rest():
                    return
        raise AssertionError("the decisions never come to rest")

    def take(self, step, what):  # noqa: C901 - one case for each kind of step
        if what in self.state.dismissed_sites:
            pass  # whatever it does, it is refused
        elif step == "come":
            self.away.pop(what, None)
            cases = events.Cases(training=5, validation=2, skipped=0)
            if self.state.sites[what].cases is None or self.state.sites[what].failure:
                self.happen(events.SiteJoined(at=self.now, site=what, cases=cases, software="test"))
        elif step == "go":
            self.away.setdefault(what, self.now)
        elif step == "submit" and isinstance(instruction_for(self.state, what), Train):
            self.happen(self.update(what))
        elif step == "evaluate" and self.state.phase is Phase.EVALUATING and what not in self.state.evaluations:
            self.happen(
                events.SiteEvaluated(at=self.now, site=what, round=self.state.round, metrics=dice(0.5), seconds=1)
            )
        elif step == "fail" and not self.state.is_over and self.state.sites[what].failure is None:
            self.happen(events.SiteFailed(at=self.now, site=what, reason=Reason.TRAINING_FAILED, message=""))
        elif step == "dismiss":
            self.happen(events.SiteDismissed(at=self.now, site=what))
        elif step == "pass":
            self.now += what
        elif step == "attempt":
            self.happen(events.AttemptStarted(at=self.now, attempt=self.state.attempt + 1, plan=PLAN.digest()))
        elif step == "restart":
            self.state = replay(PLAN, [events.from_json(events.to_json(event)) for event in self.history])
            self.away = dict.fromkeys(SITES, self.now)
        self.settle()

    def update(self, name):
        number = len(self.history) % 256
        return events.UpdateArrived(
            at=self.now,
            site=name,
            attempt=self.state.attempt,
            round=self.state.round,
            digest=bytes([number]) * 32,
            nbytes=10,
            samples=5,
            report=events.Report(
                metrics=dice(number / 256),
                train_loss=1,
                fetch_seconds=0,
                evaluate_seconds=0,
                train_seconds=0,
                steps=1,
            ),
            release=None,
            submit_seconds=0,
        )


def model(round_number):
    return events.Model(round=round_number, digest=bytes([round_number]) * 32, nbytes=100)


def dice(value):
    return {"dice": events.Mean(sum=2 * value, count=2)}


def run_of(taken):
    run = Run()
    run.settle()
    for step, what in taken:
        run.take(step, what)
    return run


@settings(deadline=None)
@given(steps)
def test_replaying_any_prefix_and_going_on_gives_the_same_state(taken):
    run = run_of(taken)
    assert replay(PLAN, run.history) == run.state
    for cut in range(0, len(run.history), 5):
        state = replay(PLAN, [events.from_json(events.to_json(event)) for event in run.history[:cut]])
        for event in run.history[cut:]:
            state = apply(state, event)
        assert state == run.state


@settings(deadline=None)
@given(steps)
def test_no_round_closes_below_the_quorum_or_twice_or_counts_a_site_in_two_ways(taken):
    run = run_of(taken)
    closed = [event for event in run.history if isinstance(event, events.RoundClosed)]
    assert [event.round for event in closed] == list(range(1, len(closed) + 1))
    for event in closed:
        before = run.history[: run.history.index(event)]
        dismissed = {past.site for past in before if isinstance(past, events.SiteDismissed)}
        assert len(event.counted) >= PLAN.rounds.quorum
        assert set(event.counted) | set(event.missing) == set(SITES) - dismissed
        assert not set(event.counted) & set(event.missing)
        attempt = max(past.attempt for past in before if isinstance(past, events.AttemptStarted))
        for name, digest in event.counted.items():
            sent = [
                past.digest
                for past in before
                if isinstance(past, events.UpdateArrived)
                and (past.site, past.round) == (name, event.round)
                and past.attempt == attempt
            ]
            assert sent == [digest]


@settings(deadline=None)
@given(steps)
def test_a_job_ends_well_only_after_all_its_rounds_and_every_site_is_told_how_it_ended(taken):
    run = run_of(taken)
    made = [event.model.round for event in run.history if isinstance(event, events.ModelMade)]
    assert made == list(range(len(made)))
    if run.state.phase is Phase.COMPLETED:
        assert made[-1] == PLAN.rounds.count
        assert run.state.best in [model(number) for number in made]
        assert all(isinstance(instruction_for(run.state, name), Finish) for name in run.state.expected_sites)
    if run.state.phase is Phase.FAILED:
        assert all(isinstance(instruction_for(run.state, name), Abort) for name in SITES)
    for name in run.state.dismissed_sites:
        assert instruction_for(run.state, name) == Abort(Reason.SITE_REVOKED, "")


@settings(deadline=None)
@given(steps)
def test_a_job_whose_sites_all_come_and_answer_always_completes(taken):
    run = run_of([(step, what) for step, what in taken if step not in ("fail", "dismiss")])
    for _ in range(PLAN.rounds.count + 1):
        for name in SITES:
            for step in ("come", "submit", "evaluate"):
                run.take(step, name)
        run.take("pass", 60.0)
    assert run.state.phase is Phase.COMPLETED


def test_a_failed_job_goes_on_from_its_last_model_in_a_higher_attempt():
    run = run_of([("come", name) for name in SITES] + [("submit", name) for name in SITES])
    assert (run.state.round, run.state.latest) == (2, model(1))
    for name in SITES[:3]:
        run.take("fail", name)
    assert run.state.phase is Phase.FAILED
    run.take("attempt", None)
    assert (run.state.phase, run.state.round, run.state.latest) == (Phase.TRAINING, 2, model(1))
    assert all(instruction_for(run.state, name) == Train(2, model(1), evaluate=True) for name in SITES)


def test_a_round_that_was_closed_is_aggregated_from_its_own_attempt_even_if_a_newer_one_takes_over():
    run = run_of([("come", name) for name in SITES])
    for name in SITES:
        run.happen(run.update(name))
    closing = decide(run.state, Presence(frozenset(SITES), {}), run.now)
    assert isinstance(closing, Happen)
    run.happen(closing.event)
    run.happen(events.AttemptStarted(at=run.now, attempt=2, plan=PLAN.digest()))
    assert isinstance(decide(run.state, Presence(frozenset(SITES), {}), run.now), Aggregate)
    assert run.state.kept_rounds == {(1, 1)}
    run.settle()
    assert (run.state.round, run.state.arrivals, run.state.kept_rounds) == (2, {}, {(2, 2)})


def test_a_dismissed_site_is_left_out_of_the_open_round_and_no_attempt_lets_it_back_in():
    run = run_of([*(("come", name) for name in SITES), ("submit", "a"), ("submit", "b"), ("dismiss", "b")])
    assert (run.state.round, set(run.state.arrivals)) == (1, {"a"})
    run.take("attempt", None)
    assert run.state.sites["b"].reason_gone is Reason.SITE_REVOKED
    for name in "acd":
        run.take("submit", name)
    (closed,) = [event for event in run.history if isinstance(event, events.RoundClosed)]
    assert (set(closed.counted), closed.missing) == ({"a", "c", "d"}, ())


def test_a_round_that_was_closed_keeps_the_update_of_a_site_that_is_dismissed_afterwards():
    run = run_of([("come", name) for name in SITES])
    for name in SITES:
        run.happen(run.update(name))
    closing = decide(run.state, Presence(frozenset(SITES), {}), run.now)
    assert isinstance(closing, Happen)
    run.happen(closing.event)
    run.happen(events.SiteDismissed(at=run.now, site="b"))
    assert set(run.state.arrivals) == set(SITES)
    run.settle()
    assert (run.state.round, run.state.expected_sites) == (2, ("a", "c", "d"))


def test_a_job_fails_when_dismissals_leave_no_quorum_even_if_everybody_else_has_delivered():
    run = run_of([*(("come", name) for name in SITES), ("submit", "a")])
    for name in "bcd":
        run.take("dismiss", name)
    assert run.state.failure.reason is Reason.QUORUM_LOST
    assert run.state.failure.message == (
        "1 of 4 sites are left, the quorum is 2: b (SiteRevoked), c (SiteRevoked), d (SiteRevoked)"
    )
    assert not any(isinstance(event, events.RoundClosed) for event in run.history)
    run.take("attempt", None)
    assert run.state.failure.reason is Reason.QUORUM_LOST


def test_what_a_dismissed_site_measured_of_the_last_model_is_forgotten():
    run = run_of([("come", name) for name in SITES])
    for _ in range(PLAN.rounds.count):
        for name in SITES:
            run.take("submit", name)
    run.take("evaluate", "a")
    run.take("dismiss", "a")
    assert (run.state.evaluations, run.state.sites["a"].metrics) == ({}, {})
    for name in "bcd":
        run.take("evaluate", name)
    assert run.state.phase is Phase.COMPLETED


def test_a_job_that_runs_past_its_deadline_fails_however_its_rounds_go():
    run = run_of([("come", name) for name in SITES])
    run.state = replace(run.state, plan=PLAN.model_copy(update={"active_deadline_s": 30.0}))
    waiting = decide(run.state, Presence(frozenset(SITES), {}), run.now + 29.9)
    assert waiting == Wait(1030.0)
    over = decide(run.state, Presence(frozenset(SITES), {}), run.now + 30)
    assert isinstance(over, Happen)
    assert over.event.reason is Reason.DEADLINE_EXCEEDED
