"""The spans of a round as the hub tells them: from the journal's events, whoever read the first of them."""

from contextlib import AsyncExitStack

from aggregator_bench import PLAN, SITES, Bench, HandClock, SiteClient, update

from fedward_protocol.reasons import Reason
from fedward_protocol.tracing.spans import RoundTrace
from fedward_server import events
from fedward_server.tracing import RoundSpans, traced

REPORT = events.Report(metrics={}, train_loss=0, fetch_seconds=1, evaluate_seconds=1, train_seconds=1, steps=1)


def attempt(at, number=1):
    return events.AttemptStarted(at=at, attempt=number, plan=b"")


def arrived(at, site, number=1, of_attempt=1):
    return events.UpdateArrived(
        at=at, site=site, attempt=of_attempt, round=number, digest=b"", nbytes=100, samples=4,
        report=REPORT, release=None, submit_seconds=2,
    )  # fmt: skip


def closed(at, number=1, missing=()):
    return events.RoundClosed(at=at, round=number, counted={"east": b"", "north": b""}, missing=missing, why="done")


def made(at, number):
    return events.ModelMade(at=at, model=events.Model(round=number, digest=b"", nbytes=50), seconds=1, shares={})


BEGUN = (attempt(0), made(1, 0), events.TrainingStarted(at=10))
ROUND = (arrived(20, "east"), arrived(30, "north"), closed(35, missing=("south",)), made(37, 1))


def told(*happened):
    spans = RoundSpans(PLAN)
    return [span for event in happened for span in spans.tell(event)]


def test_a_round_is_timed_from_its_opening_to_its_model_with_what_was_done_in_it():
    spans = told(*BEGUN, *ROUND)
    assert [(span.name, span.start, span.end) for span in spans] == [
        ("update", 18, 20),
        ("update", 28, 30),
        ("wait", 20, 35),
        ("aggregate", 36, 37),
        ("round", 10, 37),
    ]
    root = spans[-1]
    assert {span.parent_id for span in spans[:-1]} == {root.span_id}
    assert root.attributes["fedward.updates"] == 2
    assert spans[2].attributes["fedward.sites_missing"] == ("south",)


def test_the_next_round_begins_with_the_model_and_none_follows_the_last():
    spans = told(*BEGUN, *ROUND, arrived(40, "east", 2), closed(45, 2), made(47, 2), arrived(50, "east", 3))
    assert [(span.start, span.end) for span in spans if span.name == "round"] == [(10, 37), (37, 47)]
    assert len([span for span in spans if span.name == "update"]) == 3


def test_a_job_that_fails_leaves_its_open_round_with_the_reason():
    failed = events.JobFailed(at=99, reason=Reason.QUORUM_LOST, message="")
    (root,) = told(*BEGUN, failed)
    assert (root.name, root.end, root.error) == ("round", 99, "QuorumLost")
    assert told(*BEGUN[:2], failed) == [], "before the first round there is none"


def test_a_new_attempt_opens_the_round_anew_and_without_what_had_arrived():
    spans = told(
        *BEGUN, arrived(20, "east"), attempt(100, 2), arrived(110, "north", of_attempt=2), closed(120), made(125, 1)
    )
    root = spans[-1]
    assert root.trace_id == RoundTrace(PLAN.job, 2, 1).trace_id
    assert (root.start, root.end) == (100, 125)
    assert [span.start for span in spans if span.name == "wait"] == [110]


def test_a_closed_round_stays_of_the_attempt_that_its_sites_took_part_in():
    spans = told(*BEGUN, *ROUND[:3], attempt(100, 2), made(105, 1))
    assert {span.trace_id for span in spans} == {RoundTrace(PLAN.job, 1, 1).trace_id}
    assert (spans[-1].start, spans[-1].end) == (10, 105)


async def test_an_aggregator_that_was_started_again_in_a_round_tells_the_rest_of_it_and_the_whole(tmp_path, initial):
    bench, spans = Bench(tmp_path, HandClock()), []

    async def run(submitting, until):
        async with bench.running(), traced(bench.job, spans.append), AsyncExitStack() as stack:
            sites = {name: await stack.enter_async_context(SiteClient(bench, name)) for name in SITES}
            for site in sites.values():
                await site.attend()
            for name in submitting:
                train, data = await sites[name].told("train"), update(tmp_path)
                await sites[name].submit(sites[name].header(train, data), data)
            await bench.until(until)

    await run(["east"], lambda state: len(state.arrivals) == 1)
    assert [span.name for span in spans] == ["update"]
    await run(["north", "south"], lambda state: state.round == 2)
    assert [span.name for span in spans] == ["update", "update", "update", "wait", "aggregate", "round"]
    assert spans[3].start == spans[0].end
    assert {span.parent_id for span in spans[:-1]} == {spans[-1].span_id}
