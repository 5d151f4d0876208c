"""A trainer is not trusted with its own numbers, nor with a place for them that never ends."""

from __future__ import annotations

import math

import pytest

from fedward_node.gateway.metrics import MOST_JOBS, Metrics
from fedward_node.gateway.trainers import STILL_THERE_S, Trainer, Trainers
from fedward_node.gateway.vitals import believable, exported
from fedward_protocol.plan import JobIdentity
from fedward_protocol.wire import federation_pb2 as pb

SOUND = {
    "cases_per_second": 2.0,
    "data_wait_ratio": 1.0,
    "gpu_memory_used": 1 << 30,
    "gpu_memory_size": 1 << 33,
    "gpu_utilisation": 0.0,
    "amp_scale": 65536.0,
    "cases": 12,
}


class Clock:
    """Stands still until it is moved."""

    def __init__(self):
        self.now = 1e9

    def __call__(self):
        return self.now


def job(number):
    return JobIdentity(name=f"job-{number}", namespace="research", uid=f"uid-{number:08}")


def families(metrics):
    return {family.name: family for family in metrics.registry.collect()}


def names_of(metrics):
    """Return the jobs that have a series."""
    return {sample.labels["job_name"] for sample in families(metrics)["fedward_gateway_attending"].samples}


def test_what_can_be_meant_is_believed_zeros_included():
    assert believable(pb.Vitals(**SOUND)) == SOUND


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in ("cases_per_second", "amp_scale") for value in (math.nan, math.inf, -1.0)),
        *((name, value) for name in ("data_wait_ratio", "gpu_utilisation") for value in (math.nan, -0.1, 1.1)),
        ("cases_per_second", 1e7),
        ("gpu_memory_used", 2**51),
        ("gpu_memory_size", 2**64 - 1),
        ("cases", 2**54),
    ],
)
def test_what_cannot_be_meant_is_left_out_and_the_rest_is_believed(name, value):
    rest = {key: sound for key, sound in SOUND.items() if key != name}
    assert believable(pb.Vitals(**{**SOUND, name: value})) == rest


def test_a_field_of_a_later_version_is_neither_believed_nor_exported():
    smuggled = pb.Vitals.FromString(pb.Vitals(cases=3).SerializeToString() + b"\xfa\x7f\x0cpatient data")
    assert believable(smuggled) == {"cases": 3}
    assert exported(believable(smuggled), ("casesPerSecond", "gpuUtilisation")) is None


def test_what_a_trainer_says_no_more_is_not_known_any_more_but_for_its_last_round_and_loss():
    trainer = Trainer(Clock())
    trainer.progressed(pb.Progress(round=2, stage="train", loss=0.5, vitals=pb.Vitals(cases=3, gpu_utilisation=0.9)))
    trainer.progressed(pb.Progress(stage="wait", loss=math.nan, vitals=pb.Vitals(cases=3)))
    said = trainer.said
    assert (said.round, said.stage, said.loss, said.vitals) == (2, "wait", 0.5, {"cases": 3})


def test_a_trainer_without_vitals_takes_none_away():
    trainer = Trainer(Clock())
    trainer.progressed(pb.Progress(stage="train", loss=0.5, vitals=pb.Vitals(cases=3)))
    trainer.progressed(pb.Progress(stage="train", loss=0.4))
    assert trainer.said.vitals == {"cases": 3}


def test_a_trainer_attends_while_it_holds_a_stream_and_until_it_would_have_come_back():
    clock = Clock()
    trainer = Trainer(clock)
    with trainer.attending():
        clock.now += 10 * STILL_THERE_S
        assert trainer.attends
        trainer.heard()
    clock.now += STILL_THERE_S - 1
    assert trainer.attends
    clock.now += 1
    assert not trainer.attends


def test_jobs_in_plenty_push_out_those_whose_trainers_are_gone_longest():
    clock = Clock()
    metrics = Metrics("mercy", clock)
    with metrics.of(job(0)).trainer.attending():
        for number in range(1, MOST_JOBS + 3):
            clock.now += 60
            metrics.of(job(number)).released.inc()
        left = {f"job-{number}" for number in (0, *range(4, MOST_JOBS + 3))}
        assert names_of(metrics) == left
        assert {sample.labels["job_name"] for sample in families(metrics)["fedward_gateway_released"].samples} == left


def test_a_job_is_not_forgotten_while_its_trainer_is_on_the_line():
    metrics = Metrics("mercy", Clock())
    metrics.of(job(1))
    with metrics.of(job(2)).trainer.attending():
        metrics.keep([])
        assert names_of(metrics) == {"job-2"}
    metrics.keep([])
    assert names_of(metrics) == set()


def test_every_family_is_described_with_its_labels_before_there_is_a_job():
    described = {family.name: family for family in Trainers({}).describe()}
    assert all(family.samples == [] for family in described.values())
    assert described.keys() >= {"fedward_gateway_hub_connected", "fedward_trainer_cases", "fedward_trainer_metric"}
    trainer = Trainer(Clock())
    trainer.progressed(pb.Progress(stage="train", loss=0.5, vitals=pb.Vitals(**SOUND)))
    trainer.judged_by = "dice"
    trainer.evaluated({"dice": pb.MeanMetric(sum=1, count=2)})
    collected = {family.name for family in Trainers({("research", "brain"): trainer}).collect() if family.samples}
    assert collected == described.keys()


def test_every_sample_says_whose_gateway_it_is():
    metrics = Metrics("mercy", Clock())
    metrics.of(job(1))
    samples = [sample for family in metrics.registry.collect() for sample in family.samples]
    assert samples
    assert {sample.labels["site"] for sample in samples} == {"mercy"}
