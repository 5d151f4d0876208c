"""A trainer's part in a job, with an algorithm of a few lines, through a real gateway."""

from __future__ import annotations

import asyncio
import itertools
import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from fedward_node.trainer.algorithm import Cases, LocalResult, MeanMetric, Step, Superseded
from fedward_node.trainer.run import Assignment, Pace, take_part
from fedward_node.trainer.vitals import Reading
from fedward_protocol.plan import NormClip
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.tensors.file import read_tensors, write_tensors
from fedward_protocol.tensors.layout import Layout
from fedward_protocol.tensors.update import UpdateFile
from fedward_protocol.wire import federation_pb2 as pb


class AddOne:
    """Adds the round's number to each weight; can be held in the middle of its work."""

    def __init__(self):
        self.trained = []
        self.evaluated = 0
        self.superseded = []
        self.begun = asyncio.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.refusal = None
        self.is_closed = False
        self._loop = asyncio.get_running_loop()

    def open(self):
        if self.refusal is not None:
            raise self.refusal
        return Cases(training=20, validation=5, skipped=1)

    def evaluate(self, model, control):
        self.evaluated += 1
        return {"dice": MeanMetric(sum=4.0, count=5)}

    def train(self, model, round_number, out, control):
        self.trained.append(round_number)
        self._loop.call_soon_threadsafe(self.begun.set)
        while not self.may_go_on.wait(0.001):  # an epoch that is long
            if control.superseded():
                self.superseded.append(round_number)
                raise Superseded
        control.progress("train", 0.5, 0.25)
        weights = {name: values + np.float32(round_number) for name, values in read_tensors(model).items()}
        write_tensors(out, weights)
        return LocalResult(samples=20, steps=40, train_loss=0.25)

    def close(self):
        self.is_closed = True


@pytest.fixture
async def algorithm():
    return AddOne()


@pytest.fixture
def start(tmp_path, algorithm):
    """Start trainers at a site; all that still run are stopped in the end."""

    def start(site, algorithm=algorithm, gpu=Reading, **order):
        path = tmp_path / "work-order"
        path.write_bytes(site.envelope(**order))
        assignment = Assignment(
            site.plan, path, tmp_path / "trainer", f"127.0.0.1:{site.port}", site.folder / "tls/ca.crt"
        )
        pace = Pace(backoff=lambda: itertools.repeat(0.0), sleep=lambda _: asyncio.sleep(0.001))
        return asyncio.create_task(take_part(assignment, algorithm, pace, gpu))

    return start


@pytest.fixture
def train(model):
    def train(round_number=1, evaluate=True):
        ref = pb.ModelRef(round=round_number - 1, digest=model[1], nbytes=model[0].stat().st_size)
        return pb.HubMessage(train=pb.Train(round=round_number, model=ref, evaluate=evaluate))

    return train


@pytest.fixture
def evaluate(model):
    ref = pb.ModelRef(round=3, digest=model[1], nbytes=model[0].stat().st_size)
    return pb.HubMessage(evaluate=pb.Evaluate(model=ref))


FINISH = pb.HubMessage(finish=pb.Finish())


async def killed(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_round_brings_the_difference_and_what_was_measured(site, hub, start, train, model, tmp_path):
    hub.instruction = train(2)
    part = start(site)
    await hub.until(lambda: hub.complete)
    (header,) = hub.complete.values()
    assert (header.round, header.samples, header.model_digest) == (2, 20, model[1])
    assert header.report.metrics["dice"].sum == 4.0
    assert (header.report.steps, header.report.train_loss) == (40, 0.25)
    arrived = tmp_path / "arrived"
    arrived.write_bytes(hub.stored[header.digest])
    with UpdateFile.open(arrived, Layout.parse(model[0])) as update:
        assert np.allclose(update.read("conv.weight", 0, 900_000), 2.0, atol=1e-6)
    hub.say(FINISH)
    await part


async def test_a_finished_trainer_closes_its_algorithm_and_leaves(site, hub, start, algorithm):
    hub.instruction = FINISH
    await start(site)
    assert algorithm.is_closed


async def test_without_being_asked_nothing_is_evaluated(site, hub, start, train, algorithm):
    hub.instruction = train(evaluate=False)
    part = start(site)
    await hub.until(lambda: hub.complete)
    assert algorithm.evaluated == 0
    await killed(part)


async def test_for_filters_the_update_goes_to_the_gateway_exactly(make_site, hub, start, train):
    site = await make_site(filters=(NormClip(name="normClip", max_norm=1.0),), encoding="int8")
    hub.instruction = train()
    part = start(site)
    await hub.until(lambda: hub.complete)
    (header,) = hub.complete.values()
    assert header.release.nbytes_in > 3 * header.nbytes
    await killed(part)


async def test_signs_of_life_go_on_while_the_algorithm_works(site, hub, start, train, algorithm):
    algorithm.may_go_on.clear()
    hub.instruction = train()
    hub.heartbeat_s = 0.01
    part = start(site)
    await algorithm.begun.wait()
    for _ in range(2):
        while (await hub.hear("progress")).stage != "train":
            pass
    assert hub.complete == {}
    await killed(part)


async def test_progress_is_reported_stage_by_stage(site, hub, start, train, algorithm):
    algorithm.may_go_on.clear()
    hub.instruction = train()
    part = start(site)
    while (progress := await hub.hear("progress")).stage != "train":
        pass
    assert progress.round == 1
    await killed(part)


async def test_its_gateway_shows_how_training_goes_also_while_a_step_takes_long(site, hub, start, train, algorithm):
    def step(model, round_number, out, control):
        control.stepped(Step(cases=4, seconds=2.0, waited_s=0.5))
        control.progress("train", 0.5, 0.25)
        return original(model, round_number, out, control)

    original, algorithm.train = algorithm.train, step
    algorithm.may_go_on.clear()
    hub.instruction = train()
    gpu = [Reading(utilisation=0.25), Reading(utilisation=0.75)]
    part = start(site, gpu=lambda: gpu[0] if len(gpu) == 1 else gpu.pop(0))
    while (progress := await hub.hear("progress")).fraction != 0.5:
        pass
    assert not progress.HasField("vitals"), "the hospital exports nothing"
    while site.sample("fedward_trainer_gpu_utilisation_ratio") != 0.75:
        await hub.hear("progress")
    shown = [site.sample(f"fedward_trainer_{name}") for name in ("cases_total", "cases_per_second", "data_wait_ratio")]
    assert shown == [4, 2.0, 0.25]
    await killed(part)


async def test_a_new_instruction_stops_the_training_that_it_supersedes(site, hub, start, train, algorithm):
    algorithm.may_go_on.clear()
    hub.instruction = train(1)
    part = start(site)
    await algorithm.begun.wait()
    algorithm.begun.clear()
    hub.say(train(2))
    await algorithm.begun.wait()
    algorithm.may_go_on.set()
    await hub.until(lambda: hub.complete)
    assert [header.round for header in hub.complete.values()] == [2]
    assert (algorithm.trained, algorithm.superseded) == ([1, 2], [1])
    await killed(part)


async def test_the_same_instruction_again_does_not_start_the_training_again(site, hub, start, train, algorithm):
    algorithm.may_go_on.clear()
    hub.instruction = train(1)
    part = start(site)
    await algorithm.begun.wait()
    hub.attached.clear()
    await hub.stop()
    await hub.start()
    await hub.attached.wait()
    algorithm.may_go_on.set()
    await hub.until(lambda: hub.complete)
    assert algorithm.trained == [1]
    await killed(part)


async def test_after_a_hubs_restart_the_evaluation_is_sent_again_without_being_made_again(
    site, hub, start, evaluate, algorithm
):
    hub.instruction = evaluate
    part = start(site)
    first = await hub.hear("evaluation")
    await hub.stop()
    await hub.start()
    assert await hub.hear("evaluation") == first
    assert algorithm.evaluated == 1
    await killed(part)


async def test_a_restarted_gateway_is_come_back_to(site, hub, start, evaluate):
    hub.instruction = evaluate
    part = start(site)
    await hub.hear("evaluation")
    await site.restart()
    await hub.hear("evaluation")
    await killed(part)


async def test_a_trainer_killed_after_training_sends_the_same_update_without_training_again(
    site, hub, start, train, algorithm
):
    hub.instruction = train()
    hub.refusal = Reason.STORAGE_FULL
    part = start(site)
    await hub.until(lambda: hub.headers)
    await killed(part)
    hub.refusal = None
    again = AddOne()
    part = start(site, again)
    await hub.until(lambda: hub.complete)
    assert hub.headers[0].digest == hub.headers[-1].digest
    assert (again.trained, again.evaluated) == ([], 0)
    await killed(part)


async def test_a_broken_fetch_goes_on_where_it_stopped(site, hub, start, train):
    hub.fetch_dies_after = 2
    hub.instruction = train()
    part = start(site)
    await hub.until(lambda: hub.complete)
    assert hub.fetches == [0, 2 << 20]
    await killed(part)


async def test_a_model_that_is_not_what_its_digest_says_is_fetched_anew(site, hub, start, train, model):
    good = hub.models[model[1]]
    hub.models[model[1]] = good[:-1] + b"x"
    hub.instruction = train()
    part = start(site)
    await hub.until(lambda: len(hub.fetches) > 1)
    hub.models[model[1]] = good
    await hub.until(lambda: hub.complete)
    await killed(part)


async def test_a_broken_submission_is_repeated(site, hub, start, train):
    hub.dies_after = 1
    hub.receipts_lost = 1
    hub.instruction = train()
    part = start(site)
    await hub.until(lambda: hub.complete and not hub.receipts_lost)
    assert len({header.digest for header in hub.headers}) == 1
    await killed(part)


async def test_a_round_that_closed_too_early_is_let_go_and_the_next_one_trained(site, hub, start, train, algorithm):
    hub.instruction = train(1)
    hub.refusal = Reason.ROUND_CLOSED
    part = start(site)
    await hub.until(lambda: hub.headers)
    hub.refusal = None
    hub.say(train(2))
    await hub.until(lambda: hub.complete)
    assert algorithm.trained == [1, 2]
    await killed(part)


async def test_a_site_whose_dataset_is_empty_says_so_and_leaves(site, hub, start, algorithm):
    algorithm.refusal = RefusedError(Reason.DATASET_EMPTY, "no case in /data")
    with pytest.raises(RefusedError) as caught:
        await start(site)
    assert caught.value.reason is Reason.DATASET_EMPTY
    assert (await hub.hear("failure")).reason == "DatasetEmpty"


async def test_a_training_that_is_refused_is_told_and_the_site_leaves(site, hub, start, train, algorithm):
    def fail(*_):
        raise RefusedError(Reason.TRAINING_FAILED, "the loss is not finite")

    algorithm.train = fail
    hub.instruction = train()
    with pytest.raises(RefusedError) as caught:
        await start(site)
    assert caught.value.reason is Reason.TRAINING_FAILED
    assert (await hub.hear("failure")).reason == "TrainingFailed"
    assert algorithm.is_closed


async def test_a_crash_of_the_algorithm_is_a_crash(site, hub, start, train, algorithm):
    def fail(*_):
        raise ZeroDivisionError

    algorithm.train = fail
    hub.instruction = train()
    with pytest.raises(ZeroDivisionError):
        await start(site)


async def test_an_expired_order_ends_the_part_for_good(site, hub, start, algorithm):
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(RefusedError) as caught:
        await start(site, not_before=yesterday - timedelta(days=1), expires=yesterday)
    assert caught.value.reason is Reason.WORK_ORDER_EXPIRED
    assert algorithm.is_closed


async def test_an_order_that_was_renewed_in_place_goes_on_where_the_old_one_expired(site, hub, start, tmp_path):
    part = start(site, expires=datetime.now(UTC) + timedelta(seconds=2))
    await hub.attached.wait()
    hub.attached.clear()
    (tmp_path / "work-order").write_bytes(site.envelope())
    await hub.attached.wait()
    hub.say(FINISH)
    await part


async def test_a_transfer_is_tried_again_with_the_order_that_was_renewed_meanwhile(
    site, hub, start, train, algorithm, tmp_path
):
    class ExpiredAndRenewedMeanwhile:
        @property
        def value(self):
            hub.refusal = None
            (tmp_path / "work-order").write_bytes(site.envelope(order_id="order-2"))
            return Reason.WORK_ORDER_EXPIRED.value

    hub.refusal = ExpiredAndRenewedMeanwhile()
    hub.instruction = train()
    part = start(site)
    await hub.until(lambda: hub.complete)
    assert len(hub.headers) == 2
    assert site.audit.of("update")[-1]["order"] == "order-2"
    await killed(part)


async def test_a_transfer_whose_order_has_expired_and_was_not_renewed_ends_the_part(site, hub, start, train, algorithm):
    hub.refusal = Reason.WORK_ORDER_EXPIRED
    hub.instruction = train()
    with pytest.raises(RefusedError) as caught:
        await start(site)
    assert caught.value.reason is Reason.WORK_ORDER_EXPIRED
    assert algorithm.is_closed


async def test_an_abort_ends_the_part_unless_its_reason_passes(site, hub, start):
    part = start(site)
    await hub.attached.wait()
    hub.attached.clear()
    hub.say(pb.HubMessage(abort=pb.Refusal(reason=Reason.STORAGE_FULL)))
    await hub.attached.wait()
    hub.say(pb.HubMessage(abort=pb.Refusal(reason=Reason.OLD_ATTEMPT)))
    with pytest.raises(RefusedError) as caught:
        await part
    assert caught.value.reason is Reason.OLD_ATTEMPT
