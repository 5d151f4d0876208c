"""What is written of a job while it is observed: each round and site once, whatever is told how often."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fedward_cli.documents import Documents
from fedward_cli.local.attempt import Attempt
from fedward_cli.local.history import History
from fedward_cli.local.outcome import Ending, result_of
from fedward_cli.local.view import Lines
from fedward_cli.results import METRICS, RoundRecord, read_closed, read_rounds
from fedward_protocol.wire import federation_pb2 as pb

ROUNDS, SITES = 3, ("north", "south")


def part(round_number: int, site: str, dice: float = 0.5) -> pb.Observation:
    report = pb.UpdateReport(metrics={"dice": pb.MeanMetric(sum=dice * 2, count=2)}, train_loss=0.3, steps=7)
    release = pb.Release(filters=["normClip"], nbytes_in=1200)
    return pb.Observation(
        site_round=pb.SiteRound(
            round=round_number,
            site=site,
            samples=10,
            weight=0.5,
            report=report,
            release=release,
            nbytes=1000,
            received_at=100.0 * round_number + 3,
            evaluated_round=round_number - 1,
        )
    )


def closed(round_number: int) -> pb.Observation:
    return pb.Observation(
        round_closed=pb.RoundClosed(
            round=round_number, sites=SITES, opened_at=100.0 * round_number, closed_at=100.0 * round_number + 5
        )
    )


def evaluation(site: str, dice: float) -> pb.Observation:
    report = pb.UpdateReport(metrics={"dice": pb.MeanMetric(sum=dice * 2, count=2)})
    return pb.Observation(
        site_round=pb.SiteRound(round=ROUNDS, site=site, report=report, evaluated_round=ROUNDS, received_at=400)
    )


def status(state: str = "Training", site_state: str = "Training") -> pb.Observation:
    model = pb.ModelRef(round=ROUNDS, digest=b"\1" * 32, nbytes=2000)
    sites = [pb.SiteStatus(name=site, state=site_state, training_cases=10) for site in SITES]
    return pb.Observation(
        status=pb.JobStatus(state=state, attempt=1, rounds=ROUNDS, latest=model, best=model, sites=sites)
    )


def story() -> list[pb.Observation]:
    told = [status()]
    for number in range(1, ROUNDS + 1):
        told += [*(part(number, site, 0.1 * number) for site in SITES), closed(number)]
    return [*told, evaluation("north", 0.8), evaluation("south", 0.6), status("Completed")]


def keys(records: tuple[RoundRecord, ...]) -> list[tuple[int, str, int]]:
    return [(record.round, record.site, record.evaluated_round) for record in records]


def test_a_line_for_each_round_and_site_and_one_for_each_last_evaluation(tmp_path: Path) -> None:
    history = History(tmp_path)
    for observation in story():
        history.take(observation)

    records = read_rounds(tmp_path)

    assert len(records) == ROUNDS * len(SITES) + len(SITES)
    assert records[0].seconds.wait == 2
    assert (records[0].nbytes_up, records[0].nbytes_down, records[0].release is not None) == (1000, 2000, True)
    assert (records[-1].samples, records[-1].metrics["dice"].value, records[-1].release) == (0, 0.6, None)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(data=st.data())
def test_what_is_told_again_or_cut_short_changes_no_line(data: st.DataObject, tmp_path: Path) -> None:
    for name in (METRICS, "rounds.jsonl"):
        (tmp_path / name).unlink(missing_ok=True)
    whole = story()
    for stop in data.draw(st.lists(st.integers(0, len(whole)), max_size=4)):
        history = History(tmp_path)
        for observation in whole[:stop]:
            history.take(observation)
        for name in (METRICS, "rounds.jsonl"):
            with (tmp_path / name).open("a") as file:
                file.write('{"round": 1, "si')
    history = History(tmp_path)
    for observation in [*whole, *whole]:
        history.take(observation)

    found = keys(read_rounds(tmp_path))

    assert len(found) == len(set(found)) == ROUNDS * len(SITES) + len(SITES)
    assert found == keys(tuple(history.records))
    assert [each.round for each in read_closed(tmp_path)] == list(range(1, ROUNDS + 1))


def test_an_update_waits_in_memory_until_its_round_has_closed(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.take(part(1, "north"))
    assert read_rounds(tmp_path) == ()

    assert [each.round for each in history.take(closed(1))] == [1]
    assert len(read_rounds(tmp_path)) == 1
    assert history.take(closed(1)) == []


def test_the_result_tells_the_delivered_models_metrics_and_the_sums_of_bytes(
    tmp_path: Path, documents: Documents
) -> None:
    history = History(tmp_path)
    for observation in story():
        history.take(observation)
    history.take(status("Completed", "Lost"))
    now = datetime(2026, 1, 2, tzinfo=UTC)

    result = result_of(Attempt(documents.plan(), 1), history, now, Ending("Completed", now))

    assert [(site.name, site.state, site.rounds) for site in result.sites] == [
        ("north", "Finished", ROUNDS),
        ("south", "Finished", ROUNDS),
    ]
    assert round(result.metrics["dice"], 6) == 0.7
    assert result.nbytes_up == ROUNDS * len(SITES) * 1000
    assert (result.rounds_done, result.model.round if result.model else None) == (ROUNDS, ROUNDS)


def test_a_log_gets_one_line_for_each_event(tmp_path: Path, documents: Documents) -> None:
    lines: list[str] = []
    history, view = History(tmp_path), Lines(lines.append, lambda: 0.0)
    view.started(Attempt(documents.plan(), 2))
    for observation in [status(), part(1, "north", 0.4), part(1, "south", 0.6), closed(1), status("Completed")]:
        view.observed(history, history.take(observation))
    view.observed(history, history.take(status("Completed", "Lost")))

    assert [line.removeprefix("[ 0.0 s] ") for line in lines] == [
        "glioma, attempt 2: 3 rounds at north, south",
        "site north is here",
        "site south is here",
        "round 1/3: 2 of 2 sites, dice 0.500 at its start, 2 kB up, took 5.0 s, 10 s to go",
        "job completed",
    ]


def test_what_a_site_says_that_is_no_number_is_left_out_of_its_record(tmp_path: Path) -> None:
    told = part(1, "north")
    site_round = told.site_round
    report, release = site_round.report, site_round.release
    report.fetch_seconds, report.evaluate_seconds, report.train_seconds = float("nan"), -1, 1e300
    report.train_loss, report.steps = float("inf"), 2**64 - 1
    report.metrics["odd"].sum = 1e308
    release.filter_seconds, release.epsilon, release.spent_epsilon = -0.5, float("inf"), float("nan")
    history = History(tmp_path)

    for observation in (told, closed(1)):
        history.take(observation)

    (record,) = read_rounds(tmp_path)
    assert (record.seconds.fetch, record.seconds.evaluate, record.seconds.train, record.seconds.filter) == (0, 0, 0, 0)
    assert record.train_loss is None
    assert record.release is not None
    assert (record.release.epsilon, record.release.spent_epsilon) == (0, 0)
    assert set(record.metrics) == {"dice"}
    assert record.samples == 10
