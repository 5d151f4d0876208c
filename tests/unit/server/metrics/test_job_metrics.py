"""What a scrape says of the job as a whole, also after a restart."""

from __future__ import annotations

import pytest
from job_so_far import JobSoFar

from fedward_server import events


def test_exactly_one_state_is_the_jobs():
    job = JobSoFar().start()
    states = {sample.labels["state"]: sample.value for sample in job.families()["fedward_aggregator_state"].samples}
    assert states == {
        "Waiting": 0, "Training": 1, "Aggregating": 0, "Evaluating": 0, "Completed": 0, "Failed": 0,
    }  # fmt: skip


def test_an_open_round_has_an_opening_and_a_deadline_and_a_finished_job_has_neither():
    job = JobSoFar(rounds=1).start()
    opened = job.sample("round_opened_timestamp_seconds")
    assert opened == job.now
    assert job.sample("round_deadline_timestamp_seconds") == opened + 100
    job.submit("east")
    assert (job.sample("updates_arrived"), job.sample("quorum")) == (1, 1)
    job.close()
    job.happen(events.JobCompleted, missing=())
    assert job.sample("round_opened_timestamp_seconds") is None
    assert job.sample("round_deadline_timestamp_seconds") is None
    assert job.sample("state", state="Completed") == 1


def test_no_round_is_open_before_training_starts():
    job = JobSoFar()
    assert (job.sample("round"), job.sample("rounds"), job.sample("attempt")) == (0, 3, 1)
    assert job.sample("round_opened_timestamp_seconds") is None


def test_sites_are_counted_by_state_and_states_that_nobody_is_in_are_zero():
    job = JobSoFar().start()
    job.submit("east")
    assert [job.sample("sites", state=state) for state in ("Submitted", "Training", "Lost")] == [1, 1, 0]


def test_the_federations_mean_is_over_cases_and_of_a_model_that_a_whole_round_evaluated():
    job = JobSoFar().start()
    job.submit("east", {"dice": (3.0, 10)})
    assert job.sample("metric", metric="dice") is None
    job.submit("north", {"dice": (27.0, 30)})
    job.close()
    assert job.sample("metric", metric="dice") == pytest.approx(30 / 40)
    job.submit("east", {"dice": (0.0, 10)})
    assert job.sample("metric", metric="dice") == pytest.approx(30 / 40)


def test_a_round_without_an_evaluation_leaves_the_last_mean():
    job = JobSoFar().start()
    job.submit("east", {"dice": (3.0, 10)})
    job.close()
    job.submit("east")
    job.close()
    assert job.sample("metric", metric="dice") == pytest.approx(0.3)


def test_the_best_score_is_by_the_jobs_own_metric_and_stays_when_a_model_is_worse():
    job = JobSoFar(judged_by="val.accuracy").start()
    job.submit("east", {"dice": (9.0, 10)})
    job.close()
    assert job.families()["fedward_aggregator_best_score"].samples == []
    for correct in (7.0, 4.0):
        job.submit("east", {"dice": (9.0, 10), "val.accuracy": (correct, 10)})
        job.close()
    assert job.sample("metric", metric="val.accuracy") == pytest.approx(0.4)
    assert job.sample("best_score", metric="val.accuracy") == pytest.approx(0.7)
    assert len(job.families()["fedward_aggregator_best_score"].samples) == 1


def test_rounds_and_their_stages_are_timed():
    job = JobSoFar().start()
    opened = job.now
    job.submit("east", submit_seconds=4.0)
    job.submit("north", submit_seconds=6.0)
    job.close()
    assert job.sample("round_duration_seconds_sum") == job.now - opened
    assert job.sample("stage_duration_seconds_sum", stage="submit") == 10
    assert job.sample("stage_duration_seconds_sum", stage="wait") == 1
    assert job.sample("stage_duration_seconds_sum", stage="aggregate") == 0.25
    assert job.sample("stage_duration_seconds_count", stage="filter") == 0


@pytest.mark.parametrize("rubbish", [float("nan"), float("inf"), -1.0, 1e308, 62.0])
def test_a_duration_that_cannot_be_does_not_spoil_the_sum(rubbish):
    job = JobSoFar().start()
    job.submit("east", train_seconds=rubbish)
    job.submit("north", train_seconds=30.0)
    job.close()
    assert job.sample("stage_duration_seconds_sum", stage="train") == 30
    assert job.sample("site_stage_seconds", site="east", stage="train") is None


def test_a_restarted_aggregator_shows_the_same_as_before():
    job = JobSoFar().start()
    job.submit("east", {"dice": (3.0, 10)})
    job.submit("north", {"dice": (27.0, 30)})
    job.close()
    job.submit("north")
    before = job.page()
    job.restart()
    for site in job.plan.sites:
        job.attendance.attend(site, job.now)
    seen = ("last_seen", "attaches")
    kept = [line for line in before.splitlines() if not any(word in line for word in seen)]
    assert [line for line in job.page().splitlines() if not any(word in line for word in seen)] == kept


def test_an_attempts_restart_counts_a_closed_round_once():
    job = JobSoFar().start()
    job.submit("east")
    job.happen(events.RoundClosed, round=1, counted={"east": bytes(32)}, missing=("north",), why="")
    job.restart()
    job.happen(events.AttemptStarted, attempt=2, plan=job.plan.digest())
    job.happen(events.ModelMade, model=job.model(1), seconds=0.5, shares={"east": 1.0})
    assert job.sample("stage_duration_seconds_count", stage="train") == 1
    assert job.sample("site_stage_seconds", site="east", stage="train") == 30
    assert job.sample("updates_total", site="east") == 1
