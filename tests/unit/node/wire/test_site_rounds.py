"""The spans that a gateway makes of its site's part in each round, from what passes it."""

import asyncio

import grpc
import pytest

from fedward_node.gateway.site_rounds import MOST_ROUNDS, MOST_STAGES, SiteRounds
from fedward_protocol.plan import JobIdentity
from fedward_protocol.reasons import Reason, RefusedError
from fedward_protocol.wire import federation_pb2 as pb

RECEIPT = pb.UpdateReply(receipt=pb.Receipt())


class Desk:
    """What passes a gateway, on a clock that goes on by a second with each."""

    def __init__(self, site, sink=True):
        self.now, self.spans = 0.0, []
        self.rounds = SiteRounds(self.spans.append if sink else None, lambda: self.now)
        self.order = site.order()

    def train(self, number):
        self.now += 1
        self.rounds.instructed(self.order, pb.Train(round=number, model=pb.ModelRef(nbytes=50)))

    def stage(self, name, number=1):
        self.now += 1
        self.rounds.progressed(self.order, pb.Progress(round=number, stage=name))

    def submit(self, number=1, reply=RECEIPT, error=None, seconds=1, meanwhile=None):
        self.now += 1
        with self.rounds.submitting(self.order, pb.UpdateHeader(round=number, nbytes=100)) as tried:
            self.rounds.let_out(self.order, number, tried)
            self.now += seconds
            if meanwhile is not None:
                meanwhile()
            if error is not None:
                raise error
            tried.answered(reply)

    def told(self):
        return [(span.name, span.start, span.end, span.error) for span in self.spans]


@pytest.fixture
def desk(site):
    return Desk(site)


def test_stages_are_timed_from_one_report_to_the_next_and_the_round_from_instruction_to_receipt(desk):
    desk.train(1)
    for name in ("fetch", "fetch", "evaluate", "train", "submit"):
        desk.stage(name)
    desk.submit()
    assert desk.told() == [
        ("fetch", 2, 4, None),
        ("evaluate", 4, 5, None),
        ("train", 5, 6, None),
        ("submit", 7, 8, None),
        ("site-round", 1, 8, None),
    ]
    assert [span.attributes.get("fedward.nbytes") for span in desk.spans] == [50, None, None, 100, None]
    assert {span.parent_id for span in desk.spans[:-1]} == {desk.spans[-1].span_id}


def test_filtering_comes_before_sending(desk):
    desk.train(1)
    with desk.rounds.submitting(desk.order, pb.UpdateHeader(round=1, nbytes=100)) as tried:
        desk.now = 10
        desk.rounds.filtered(desk.order, 1, tried, 4)
        tried.nbytes = 30
        desk.now = 12
        tried.answered(RECEIPT)
    assert desk.told() == [("filter", 6, 10, None), ("submit", 10, 12, None), ("site-round", 1, 12, None)]
    assert desk.spans[1].attributes["fedward.nbytes"] == 30


def test_the_same_instruction_again_opens_no_second_round(desk):
    desk.train(1)
    desk.train(1)
    desk.submit()
    assert [(name, start) for name, start, _, _ in desk.told()] == [("submit", 3), ("site-round", 1)]


def test_a_round_that_the_hub_left_without_the_site_is_superseded(desk):
    desk.train(1)
    desk.stage("train")
    desk.train(2)
    assert desk.told() == [("train", 2, 3, None), ("site-round", 1, 3, "Superseded")]


@pytest.mark.parametrize("word", ["wait", "train"])
def test_a_hub_that_goes_on_before_its_receipt_has_come_through_has_superseded_nothing(desk, word):
    desk.train(1)
    go_on = (lambda: desk.train(2)) if word == "train" else (lambda: desk.rounds.superseded(desk.order))
    with pytest.raises(asyncio.CancelledError):
        desk.submit(error=asyncio.CancelledError(), meanwhile=go_on)
    names = [(name, error) for name, _, _, error in desk.told()]
    assert names == [("submit", None), ("site-round", None)]
    desk.stage("fetch", 2)
    desk.stage("train", 2)
    assert desk.told()[2:] == ([("fetch", desk.now - 1, desk.now, None)] if word == "train" else [])


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RefusedError(Reason.AUDIT_FAILED), "AuditFailed"),
        (grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata()), "HubUnreachable"),
        (OSError("full"), "OSError"),
    ],
)
def test_a_try_that_fails_says_why_and_the_round_goes_on(desk, error, reason):
    desk.train(1)
    with pytest.raises(type(error)):
        desk.submit(error=error)
    desk.submit()
    assert [(name, error) for name, _, _, error in desk.told()] == [
        ("submit", reason),
        ("submit", None),
        ("site-round", None),
    ]


def test_a_refusal_of_the_hubs_is_the_tries_reason(desk):
    desk.train(1)
    desk.submit(reply=pb.UpdateReply(refusal=pb.Refusal(reason="NotFinite")))
    assert desk.told() == [("submit", 2, 3, "NotFinite")]


def test_a_site_that_cannot_take_part_ends_its_round_with_the_reason(desk):
    desk.train(1)
    desk.rounds.ended(desk.order, "TrainingFailed")
    desk.rounds.ended(desk.order)
    assert desk.told() == [("site-round", 1, 1, "TrainingFailed")]


def test_a_gateway_that_was_restarted_while_an_update_was_made_times_what_it_still_sees(desk):
    desk.submit(number=7)
    assert [span.attributes["fedward.round"] for span in desk.spans] == [7, 7]
    assert [name for name, *_ in desk.told()] == ["submit", "site-round"]


def test_reports_of_another_round_and_of_no_stage_leave_no_span(desk):
    desk.stage("train")
    desk.train(1)
    desk.stage("train", 2)
    desk.stage("wait")
    desk.submit()
    assert [name for name, *_ in desk.told()] == ["submit", "site-round"]


def test_a_trainer_that_reports_without_end_makes_no_more_than_so_many_spans(desk):
    desk.train(1)
    for _ in range(1000):
        desk.stage("fetch")
        desk.stage("train")
    desk.submit()
    assert len(desk.spans) == MOST_STAGES + 2


REFUSED = pb.UpdateReply(refusal=pb.Refusal(reason="WrongRound"))


def test_updates_for_other_rounds_than_the_hubs_leave_no_span_and_do_not_disturb_the_one_that_is_open(desk):
    desk.train(7)
    desk.stage("train", 7)
    for number in range(8, 1000):
        desk.submit(number, REFUSED)
    desk.submit(7)
    assert [name for name, *_ in desk.told()] == ["train", "submit", "site-round"]
    assert {span.attributes["fedward.round"] for span in desk.spans} == {7}


def test_a_trainer_that_tries_without_end_makes_no_more_than_so_many_spans_and_the_last_try_is_among_them(desk):
    desk.train(1)
    for _ in range(1000):
        with desk.rounds.submitting(desk.order, pb.UpdateHeader(round=1)) as tried:
            desk.rounds.filtered(desk.order, 1, tried, 0)
            tried.answered(REFUSED)
    desk.submit()
    assert [name for name, *_ in desk.told()] == ["filter", "submit"] * MOST_STAGES + ["submit", "site-round"]
    assert desk.spans[-2].error is None


@pytest.mark.parametrize("number", [1, 2])
def test_a_round_that_is_over_is_not_opened_again_by_a_trainer(desk, number):
    desk.train(1)
    desk.submit()
    for _ in range(1000):
        desk.submit(number)
    assert [name for name, *_ in desk.told()] == ["submit", "site-round"]
    desk.train(2)
    desk.submit(2)
    assert [name for name, *_ in desk.told()][2:] == ["submit", "site-round"]


def test_a_round_that_was_given_up_and_is_asked_for_again_is_told_again_but_not_without_end(desk):
    desk.train(1)
    desk.rounds.ended(desk.order, "TrainingFailed")
    desk.train(1)
    desk.submit()
    told = [("site-round", "TrainingFailed"), ("submit", None), ("site-round", None)]
    assert [(name, error) for name, _, _, error in desk.told()] == told
    for _ in range(1000):
        desk.train(1)
        desk.rounds.ended(desk.order, "TrainingFailed")
    assert len(desk.spans) < len(told) + MOST_STAGES


def test_words_of_the_hubs_that_are_no_reason_stay_out_of_the_hospitals_traces(desk):
    desk.train(1)
    desk.submit(reply=pb.UpdateReply(refusal=pb.Refusal(reason="<b>come to hub.example</b>")))
    assert desk.spans[-1].error == "Malformed"


async def test_nor_do_they_when_it_ends_the_job(site, hub):
    told = []
    call = await site.say_hello()
    site.gateway._desk.rounds._sink = told.append
    hub.say(pb.HubMessage(train=pb.Train(round=1)))
    hub.say(pb.HubMessage(abort=pb.Refusal(reason="<b>come to hub.example</b>")))
    assert [(await call.read()).WhichOneof("body") for _ in range(2)] == ["train", "abort"]
    assert [(span.name, span.error) for span in told] == [("site-round", "Malformed")]
    call.cancel()


def test_jobs_without_end_are_not_all_kept(desk):
    for number in range(10 * MOST_ROUNDS):
        desk.order = desk.order.model_copy(update={"job": JobIdentity(name="j", namespace="n", uid=f"job-{number:08}")})
        desk.train(1)
    assert len(desk.rounds._rounds) == MOST_ROUNDS


def test_without_a_collector_nothing_is_kept(site):
    desk = Desk(site, sink=False)
    desk.train(1)
    desk.stage("train")
    desk.submit()
    assert (desk.spans, desk.rounds._rounds) == ([], {})
