"""A job without I/O, as far as a test drives it, and its page of metrics."""

from __future__ import annotations

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from fedward_protocol.plan import Data, Evaluation, JobIdentity, Model, Network, Plan, Rounds
from fedward_server import events
from fedward_server.attendance import Attendance
from fedward_server.metrics import Metrics
from fedward_server.rounds.state import apply, replay

OWNER = {"job_namespace": "research", "job_name": "job"}


def plan_of(sites, rounds=3, judged_by="dice"):
    return Plan(
        federation="north.example",
        job=JobIdentity(name="job", namespace="research", uid="0123456789"),
        sites=sites,
        model=Model(network=Network()),
        data=Data(dataset="brats"),
        rounds=Rounds(count=rounds, quorum=1, deadline_s=100, grace_s=10),
        evaluation=Evaluation(metric=judged_by),
    )


class JobSoFar:
    """Takes events as the aggregator's job does; the time goes on by a second with each, and a minute for training."""

    def __init__(self, sites=("east", "north"), rounds=3, judged_by="dice"):
        self.plan, self.now, self.history = plan_of(sites, rounds, judged_by), 1_000.0, []
        self.restart()
        self.happen(events.AttemptStarted, attempt=1, plan=self.plan.digest())
        self.happen(events.ModelMade, model=self.model(0), seconds=0, shares={})

    def restart(self):
        """Begin again from the journal, as a new process does."""
        self.metrics = Metrics(self.plan)
        self.state = replay(self.plan, self.history, self.metrics.take)
        self.attendance = Attendance(self.plan.sites, self.now)
        self.metrics.watch_job(self)

    def happen(self, kind, **fields):
        self.now += 1
        event = kind(at=self.now, **fields)
        self.history.append(event)
        self.metrics.take(self.state, event)
        self.state = apply(self.state, event)

    def start(self):
        for site in self.plan.sites:
            self.attendance.attend(site, self.now)
            cases = events.Cases(training=40, validation=10, skipped=2)
            self.happen(events.SiteJoined, site=site, cases=cases, software="test")
        self.happen(events.TrainingStarted)
        return self

    def submit(self, site, metrics=None, release=None, submit_seconds=4.0, **report):
        said = {"train_loss": 0.5, "fetch_seconds": 1.0, "evaluate_seconds": 2.0, "train_seconds": 30.0, "steps": 7}
        self.now += 0 if self.state.arrivals else 60
        means = {name: events.Mean(sum=total, count=count) for name, (total, count) in (metrics or {}).items()}
        self.happen(
            events.UpdateArrived,
            site=site,
            attempt=1,
            round=self.state.round,
            digest=bytes(32),
            nbytes=10,
            samples=40,
            report=events.Report(metrics=means, **(said | report)),
            release=release,
            submit_seconds=submit_seconds,
        )

    def close(self):
        counted = {site: bytes(32) for site in self.plan.sites if site in self.state.arrivals}
        missing = tuple(site for site in self.plan.sites if site not in counted)
        self.happen(events.RoundClosed, round=self.state.round, counted=counted, missing=missing, why="")
        shares = dict.fromkeys(counted, 1 / len(counted))
        self.happen(events.ModelMade, model=self.model(self.state.round), seconds=0.25, shares=shares)

    def model(self, number):
        return events.Model(round=number, digest=bytes([number % 256]) * 32, nbytes=10)

    def page(self):
        return generate_latest(self.metrics.registry).decode()

    def families(self):
        return {family.name: family for family in text_string_to_metric_families(self.page())}

    def sample(self, name, **labels):
        return self.metrics.registry.get_sample_value(f"fedward_aggregator_{name}", OWNER | labels)
