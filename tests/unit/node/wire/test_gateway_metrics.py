"""What a gateway shows Prometheus of its jobs and their trainers, and what of it the hub hears."""

from __future__ import annotations

import asyncio
import hashlib
import math
import struct
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_node.gateway.plans import KEPT_AFTER_EXPIRY
from fedward_node.gateway.trainers import Trainer
from fedward_node.sending import send_update, submitter
from fedward_protocol import refusals, work_order
from fedward_protocol.identity import aggregator_name
from fedward_protocol.metric_names import MOST_METRICS
from fedward_protocol.plan import GaussianNoise, JobIdentity
from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb
from fedward_protocol.work_order import Budget

EXPIRES = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=5)
OTHER = JobIdentity(name="lung", namespace="imaging", uid="uid-00000002")
NOISE = GaussianNoise(name="gaussianNoise", max_norm=1.0, multiplier=20.0)


def report(**vitals):
    progress = pb.Progress(round=2, stage="train", fraction=0.5, loss=0.25, vitals=pb.Vitals(**vitals))
    return pb.SiteMessage(progress=progress)


async def attend(site, **order):
    call = site.stub().Attend(metadata=site.metadata(**order))
    await call.write(site.hello(job=pb.JobRef(uid=site.plan.job.uid, attempt=1)))
    assert (await call.read()).WhichOneof("body") == "welcome"
    return call


async def submit(site, update):
    call = submitter(site.channel())(metadata=site.metadata())
    try:
        return await send_update(call, update.header, update.path, "none")
    finally:
        call.cancel()


async def refused(call):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    return refusals.from_rpc_error(caught.value).reason


async def end(hub, call):
    """Let the hub close the stream; once that is heard, the gateway is done with it."""
    hub.say(None)
    assert await call.read() is grpc.aio.EOF


def epsilon(site, which):
    labels = {"site": "mercy", "dataset": "brats"}
    return site.metrics.registry.get_sample_value(f"fedward_gateway_{which}_epsilon", labels)


async def test_a_trainers_numbers_are_shown_and_kept_once_it_has_gone(site, hub):
    call = await attend(site)
    vitals = {"cases_per_second": 1.5, "data_wait_ratio": 0.125, "cases": 40, "amp_scale": 65536.0}
    gpu = {"gpu_memory_used": 3 << 30, "gpu_memory_size": 8 << 30, "gpu_utilisation": 0.75}
    await call.write(report(**vitals, **gpu))
    await hub.hear("progress")
    await end(hub, call)
    shown = {
        "round": 2,
        "progress_ratio": 0.5,
        "loss": 0.25,
        "cases_per_second": 1.5,
        "data_wait_ratio": 0.125,
        "cases_total": 40,
        "amp_scale": 65536,
        "gpu_memory_used_bytes": 3 << 30,
        "gpu_memory_size_bytes": 8 << 30,
        "gpu_utilisation_ratio": 0.75,
    }
    assert {name: site.sample(f"fedward_trainer_{name}") for name in shown} == shown
    assert site.sample("fedward_trainer_stage", stage="train") == 1
    assert abs(site.sample("fedward_trainer_last_heard_timestamp_seconds") - datetime.now(UTC).timestamp()) < 60


async def test_they_go_once_the_work_order_has_expired(site, hub, make_update):
    call = await attend(site, expires=EXPIRES)
    await call.write(report(cases=40))
    await hub.hear("progress")
    await submit(site, make_update())
    await end(hub, call)
    names = ("fedward_trainer_cases_total", "fedward_gateway_attending", "fedward_gateway_released_total")
    site.gateway.sweep(EXPIRES + KEPT_AFTER_EXPIRY - timedelta(seconds=1))
    assert None not in [site.sample(name) for name in names]
    site.gateway.sweep(EXPIRES + KEPT_AFTER_EXPIRY)
    assert [site.sample(name) for name in names] == [None, None, None]
    assert site.sample("fedward_gateway_bytes_total", direction="up") is None


async def test_two_jobs_at_once_are_told_apart(site, hub):
    first = await attend(site)
    site.plan = site.plan.model_copy(update={"job": OTHER})
    second = await attend(site, aggregator_name=aggregator_name("brain", "research", site.plan.federation))
    await first.write(report(cases=40))
    await hub.hear("progress")
    await second.write(report(cases=7))
    await hub.hear("progress")
    of_first = {"job_namespace": "research", "job_name": "brain"}
    assert site.sample("fedward_trainer_cases_total", **of_first) == 40
    assert site.sample("fedward_trainer_cases_total") == 7
    first.cancel()
    await hub.until(lambda: hub.attending() == 1)
    assert site.sample("fedward_gateway_hub_connected") == 1
    second.cancel()


@pytest.mark.parametrize(
    ("exports", "leaving"),
    [
        ((), pb.Vitals()),
        (("casesPerSecond",), pb.Vitals(cases_per_second=1.235)),
        (("gpuUtilisation",), pb.Vitals(gpu_utilisation=0.765)),
        (("casesPerSecond", "gpuUtilisation"), pb.Vitals(cases_per_second=1.235, gpu_utilisation=0.765)),
    ],
)
async def test_of_the_vitals_nothing_leaves_but_what_the_hospital_exports(site, hub, exports, leaving):
    site.exports = exports
    call = await attend(site)
    await call.write(report(cases_per_second=1.2345678, gpu_utilisation=0.7654321, gpu_memory_used=5, cases=40))
    heard = await hub.hear("progress")
    assert (heard.stage, heard.vitals, heard.HasField("vitals")) == ("train", leaving, bool(exports))
    call.cancel()


async def test_a_number_that_cannot_be_meant_is_neither_shown_nor_let_out_and_the_report_goes_on(site, hub):
    site.exports = ("casesPerSecond", "gpuUtilisation")
    call = await attend(site)
    await call.write(report(cases_per_second=math.nan, gpu_utilisation=7.5, cases=40))
    heard = await hub.hear("progress")
    assert (heard.loss, heard.HasField("vitals")) == (0.25, False)
    assert site.sample("fedward_trainer_cases_per_second") is None
    assert site.sample("fedward_trainer_gpu_utilisation_ratio") is None
    assert site.sample("fedward_trainer_cases_total") == 40
    call.cancel()


async def test_a_trainer_attends_whose_hub_is_away_and_the_call_that_failed_is_counted(site, hub):
    async def hello():
        yield site.hello()  # not written by hand: the call may be over before the hello is out

    await hub.stop()
    assert await refused(site.stub().Attend(hello(), metadata=site.metadata())) is Reason.HUB_UNREACHABLE
    assert site.sample("fedward_gateway_attending") == 1
    assert site.sample("fedward_gateway_hub_connected") == 0
    failed = site.metrics.registry.get_sample_value
    name = "fedward_gateway_calls_failed_total"
    assert [failed(name, {"site": "mercy", "call": call}) for call in ("Attend", "FetchModel")] == [1, 0]


async def test_the_hub_is_connected_while_a_stream_is_relayed_to_it(site, hub):
    call = await attend(site)
    assert site.sample("fedward_gateway_hub_connected") == 1
    await end(hub, call)
    assert site.sample("fedward_gateway_hub_connected") == 0


async def test_refusals_are_counted_by_job_and_reason_without_a_job_where_the_order_is_not_believed(site, hub):
    mismatched = site.stub().Attend(metadata=site.metadata())
    await mismatched.write(site.hello(site="elsewhere"))
    assert await refused(mismatched) is Reason.WORK_ORDER_MISMATCH
    envelope = work_order.sign(site.order(job=OTHER), Ed25519PrivateKey.generate())
    forged = site.stub().Attend(metadata=((work_order.METADATA_KEY, envelope),))
    assert await refused(forged) is Reason.WORK_ORDER_FORGED
    counted = site.sample
    assert counted("fedward_gateway_refusals_total", reason="WorkOrderMismatch") == 1
    unknown = {"job_namespace": "", "job_name": "", "reason": "WorkOrderForged"}
    assert counted("fedward_gateway_refusals_total", **unknown) == 1
    made_up = {"job_namespace": OTHER.namespace, "job_name": OTHER.name}
    assert counted("fedward_gateway_attending", **made_up) is None


async def test_an_update_that_a_filter_stops_is_counted_with_its_reason(filtering_site, make_update, hub):
    call = await attend(filtering_site)
    update = make_update()
    raw = update.path.read_bytes()[:-4] + struct.pack("<f", math.nan)
    update.path.write_bytes(raw)
    update.header.digest = hashlib.sha256(raw).digest()
    assert (await submit(filtering_site, update)).refusal.reason == Reason.FILTER_FAILED
    assert filtering_site.sample("fedward_gateway_refusals_total", reason="FilterFailed") == 1
    assert filtering_site.sample("fedward_gateway_released_total") == 0
    call.cancel()


async def test_metrics_that_leave_with_an_update_or_an_evaluation_are_the_trainers_last(site, hub, make_update):
    call = await attend(site)
    await submit(site, make_update())
    assert site.sample("fedward_trainer_metric", metric="dice") == 0.7
    assert site.sample("fedward_trainer_score", metric=site.plan.evaluation.metric) == 0.7
    model = pb.ModelRef(round=3, digest=bytes(32), nbytes=10)
    hub.say(pb.HubMessage(evaluate=pb.Evaluate(model=model)))
    await call.read()
    metrics = {"hd95": pb.MeanMetric(sum=12, count=4), "dice_et": pb.MeanMetric(sum=0, count=0)}
    evaluation = pb.Evaluation(round=3, model_digest=model.digest, metrics=metrics)
    await call.write(pb.SiteMessage(evaluation=evaluation))
    await hub.hear("evaluation")
    shown = [site.sample("fedward_trainer_metric", metric=name) for name in ("dice", "hd95", "dice_et")]
    assert shown == [None, 3.0, None]
    assert not any(site.sample("fedward_trainer_score", metric=name) for name in metrics)
    assert site.sample("fedward_gateway_evaluations_total") == 1
    call.cancel()


async def test_metrics_of_an_update_that_the_hub_refuses_are_not_shown(site, hub, make_update):
    call = await attend(site)
    hub.refusal = Reason.ROUND_CLOSED
    await submit(site, make_update())
    assert site.sample("fedward_trainer_metric", metric="dice") is None
    call.cancel()


async def test_metrics_of_an_update_that_is_out_are_shown_though_the_trainer_does_not_wait_for_the_receipt(
    site, hub, make_update
):
    call = await attend(site)
    hub.keeps_receipts = True
    submitting = asyncio.create_task(submit(site, make_update()))
    await hub.holding.wait()
    assert site.sample("fedward_trainer_metric", metric="dice") is None
    submitting.cancel()
    await hub.until(lambda: hub.cut_off == 1)
    assert site.sample("fedward_trainer_metric", metric="dice") == 0.7
    call.cancel()


def test_a_trainer_that_calls_its_metrics_ever_anew_adds_no_series_without_end():
    trainer = Trainer(lambda: 0.0)
    shown = set()
    for number in range(3 * MOST_METRICS):
        trainer.evaluated({f"m{number}": pb.MeanMetric(sum=1, count=2), "dice": pb.MeanMetric(sum=number, count=2)})
        shown |= trainer.said.metrics.keys()
    assert shown == {"dice", *(f"m{number}" for number in range(MOST_METRICS - 1))}
    assert trainer.said.metrics == {"dice": (3 * MOST_METRICS - 1) / 2}


async def test_a_datasets_privacy_is_shown_against_its_budget_also_after_a_restart(make_site, hub, make_update):
    site = await make_site(filters=(NOISE,), budget=Budget(epsilon=8.0, delta=1e-5))

    call = await attend(site)
    assert (epsilon(site, "budget"), epsilon(site, "spent")) == (8.0, None)
    await submit(site, make_update())
    spent = epsilon(site, "spent")
    assert 0 < spent < 8
    call.cancel()
    await site.restart()
    assert epsilon(site, "spent") == spent


async def test_a_budget_that_was_taken_away_and_a_sum_that_is_none_any_more_are_not_shown(site, hub, make_update):
    site.budget = Budget(epsilon=8.0)
    (await attend(site)).cancel()
    site.metrics.show_spent("brats", 2.0)
    assert (epsilon(site, "budget"), epsilon(site, "spent")) == (8.0, 2.0)
    site.budget = None
    call = await attend(site)
    await submit(site, make_update())  # without any filter
    assert (epsilon(site, "budget"), epsilon(site, "spent")) == (None, None)
    call.cancel()


async def test_each_entry_of_the_audit_log_is_counted_once_it_is_there(site, hub):
    def entries():
        return site.metrics.registry.get_sample_value("fedward_gateway_audit_entries_total", {"site": "mercy"})

    (await attend(site)).cancel()
    assert entries() == len(site.audit.records) == 1
    site.audit.is_broken = True
    broken = site.stub().Attend(metadata=site.metadata())
    await broken.write(site.hello())
    assert await refused(broken) is Reason.AUDIT_FAILED
    assert entries() == 1
