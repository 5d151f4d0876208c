"""What a scrape says of each site."""

from __future__ import annotations

import threading

import pytest
from job_so_far import JobSoFar
from prometheus_client import generate_latest

from fedward_protocol.metric_names import MOST_METRICS
from fedward_protocol.reasons import Reason
from fedward_protocol.wire import federation_pb2 as pb
from fedward_server import events


def release(**fields):
    given = {"filters": ("gaussianNoise",), "epsilon": 1.5, "delta": 1e-5, "spent_epsilon": 4.5, "meaningful": True}
    return events.Release(**(given | {"nbytes_in": 10, "filter_seconds": 3.0} | fields))


def test_a_site_that_missed_a_round_lags_and_has_no_share():
    job = JobSoFar().start()
    job.submit("east")
    job.submit("north")
    job.close()
    assert (job.sample("site_round_lag", site="north"), job.sample("site_weight", site="north")) == (0, 0.5)
    job.submit("east")
    job.close()
    assert (job.sample("site_round_lag", site="north"), job.sample("site_weight", site="north")) == (1, 0)
    assert (job.sample("site_round_lag", site="east"), job.sample("site_weight", site="east")) == (0, 1)


def test_a_site_that_never_came_lags_by_every_round():
    job = JobSoFar().start()
    for _ in range(2):
        job.submit("east")
        job.close()
    assert job.sample("site_round_lag", site="north") == 2


def test_a_sites_stages_are_those_of_its_last_counted_round():
    job = JobSoFar().start()
    job.submit("east", train_seconds=30.0, release=release(filter_seconds=3.0))
    assert job.sample("site_stage_seconds", site="east", stage="train") is None
    job.close()
    stages = {
        sample.labels["stage"]: sample.value
        for sample in job.families()["fedward_aggregator_site_stage_seconds"].samples
    }
    assert stages == {"fetch": 1, "evaluate": 2, "train": 30, "filter": 3, "submit": 4}
    assert job.sample("site_train_loss", site="east") == 0.5


def test_a_sites_metrics_name_the_model_that_they_are_of():
    job = JobSoFar().start()
    job.submit("east", {"dice": (3.0, 10), "nobody_counted": (0.0, 0)})
    assert job.sample("site_metric", site="east", metric="dice") == pytest.approx(0.3)
    assert job.sample("site_metric", site="east", metric="nobody_counted") is None
    assert job.sample("site_metric_round", site="east") == 0
    assert job.sample("site_metric_round", site="north") is None
    job.close()
    job.submit("east")
    assert job.sample("site_metric_round", site="east") == 0


@pytest.mark.parametrize("name", ["val.mean-dice", "Dice_0.5", "a" * 64])
def test_a_metric_of_any_name_is_a_label_that_reads_back(name):
    job = JobSoFar().start()
    job.submit("east", {name: (3.0, 10)})
    (sample,) = job.families()["fedward_aggregator_site_metric"].samples
    assert (sample.labels["metric"], sample.value) == (name, pytest.approx(0.3))


def test_sites_that_call_their_metrics_ever_anew_add_no_series_without_end():
    job = JobSoFar(rounds=70).start()
    shown = set()
    for number in range(70):
        job.submit("east", {f"east-{number}": (3.0, 10)})
        job.submit("north", {f"north-{number}": (3.0, 10), "dice": (float(number), 70)})
        job.close()
        job.restart()
        assert job.sample("metric", metric="dice") == job.sample("site_metric", site="north", metric="dice")
        for family in ("site_metric", "metric"):
            shown |= {sample.labels["metric"] for sample in job.families()[f"fedward_aggregator_{family}"].samples}
    of_both = [f"{site}-{number}" for number in range(70) for site in ("east", "north")]
    assert shown == {"dice", *of_both[: MOST_METRICS - 1]}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (release(), 4.5),
        (release(epsilon=0.0), None),
        (release(spent_epsilon=float("inf")), None),
        (None, None),
    ],
)
def test_a_privacy_loss_is_shown_only_where_a_mechanism_bounds_it(given, shown):
    job = JobSoFar().start()
    job.submit("east", release=given)
    job.close()
    assert job.sample("site_spent_epsilon", site="east") == shown


def test_who_is_there_is_read_at_the_scrape():
    job = JobSoFar().start()
    session = job.attendance.of("east").session
    assert (job.sample("site_connected", site="east"), job.sample("site_state", site="east", state="Training")) == (
        1,
        1,
    )
    job.attendance.hear("east", job.now + 5)
    job.attendance.leave(session, job.now + 6)
    assert job.sample("site_connected", site="east") == 0
    assert job.sample("site_state", site="east", state="Training") is None
    assert job.sample("site_state", site="east", state="Lost") == 1
    assert job.sample("site_last_seen_timestamp_seconds", site="east") == job.now + 5
    job.attendance.attend("east", job.now + 7)
    assert job.sample("attaches_total", site="east") == 2


def test_a_site_that_was_never_heard_of_was_last_seen_never():
    job = JobSoFar()
    assert job.sample("site_last_seen_timestamp_seconds", site="east") is None
    assert job.sample("site_samples", site="east") is None
    job.start()
    assert (job.sample("site_samples", site="east"), job.sample("site_skipped_cases", site="east")) == (40, 2)


def test_counters_are_there_before_anything_is_counted():
    job = JobSoFar()
    for name in ("updates_total", "received_bytes_total", "sent_bytes_total", "sites_lost_total", "attaches_total"):
        assert job.sample(name, site="north") == 0, name


@pytest.mark.parametrize(("said", "shown"), [(0.25, 0.25), (7.0, 1.0), (-1.0, 0.0), (float("nan"), None)])
def test_progress_is_a_ratio_whatever_a_site_says(said, shown):
    job = JobSoFar().start()
    job.attendance.of("east").progress = pb.Progress(round=1, stage="train", fraction=said)
    assert job.sample("site_progress_ratio", site="east") == shown


def test_what_a_hospital_does_not_let_out_is_absent():
    job = JobSoFar().start()
    vitals = pb.Vitals(cases_per_second=1.5, gpu_utilisation=0.75)
    job.attendance.of("east").progress = pb.Progress(round=1, stage="train", vitals=vitals)
    job.attendance.of("north").progress = pb.Progress(round=1, stage="train", vitals=pb.Vitals(cases=7))
    names = ("site_cases_per_second", "site_gpu_utilisation_ratio")
    assert [job.sample(name, site="east") for name in names] == [1.5, 0.75]
    assert [job.sample(name, site="north") for name in names] == [None, None]


@pytest.mark.parametrize("said", [float("nan"), float("inf"), -1.0])
def test_a_speed_that_is_none_is_absent(said):
    job = JobSoFar().start()
    job.attendance.of("east").progress = pb.Progress(vitals=pb.Vitals(cases_per_second=said))
    assert job.sample("site_cases_per_second", site="east") is None


def test_a_stranger_that_is_refused_is_counted_without_a_name():
    job = JobSoFar()
    job.metrics.refused("east", Reason.TOO_LARGE)
    job.metrics.refused("somebody else", Reason.SITE_NOT_IN_PLAN)
    assert job.sample("refusals_total", site="east", reason="TooLarge") == 1
    assert job.sample("refusals_total", site="", reason="SiteNotInPlan") == 1


def test_scrapes_from_another_thread_never_meet_a_job_half_changed():
    job = JobSoFar(sites=tuple(f"site-{number}" for number in range(20)), rounds=400).start()
    over, broken, pages = threading.Event(), [], []

    def scrape():
        while not over.is_set():
            try:
                pages.append(generate_latest(job.metrics.registry))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is what the test is about
                broken.append(error)
                return

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        while len(pages) < 5 and not broken and job.state.round < 300:
            for site in job.plan.sites:
                job.submit(site, {"dice": (3.0, 10)})
                job.attendance.attend(site, job.now)
            job.close()
    finally:
        over.set()
        thread.join()
    assert not broken
    assert len(pages) >= 5
