"""How a local run is followed from its folder alone."""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.unit.cli.report.runs import STARTED, records

from fedward_cli.progress.of_folder import follow, is_run, read
from fedward_cli.progress.track import Track
from fedward_cli.results import METRICS, RESULT, ROUNDS, ClosedRound, Problem, Result, SiteResult, write_record


def result(state: str = "Running", **more: object) -> Result:
    sites = (SiteResult(name="north", state="Training", rounds=2),)
    said = {"name": "glioma", "started_at": STARTED, "rounds_planned": 6, "rounds_done": 2, "sites": sites}
    return Result.model_validate({"state": state, **said, **more})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run that somebody works on."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "lock").touch()
    found = [each for each in records(("north",)) if each.round <= 2 and each.samples]
    (tmp_path / METRICS).write_text("".join(each.model_dump_json(by_alias=True) + "\n" for each in found))
    write_record(tmp_path / RESULT, result())
    return tmp_path


@pytest.fixture
def held(run: Path):
    with (run / "run" / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def test_a_run_that_somebody_works_on_is_in_the_round_after_the_last_that_closed(run, held):
    found = read(run)
    assert (found.state, found.round, found.rounds_done, found.outcome) == ("Training", 3, 2, None)
    assert sorted(found.values) == [0, 1]
    assert found.value == found.values[1] == found.sites[0].value


def test_a_run_that_nobody_works_on_any_more_has_stopped_whatever_it_says(run):
    found = read(run)
    assert (found.outcome, found.state) == ("Stopped", "Stopped")
    assert "the same fedward run goes on from there" in found.message


def test_the_metric_is_the_one_that_decides_in_the_runs_plan(run, held, documents):
    plan = documents.plan()
    other = plan.model_copy(update={"evaluation": plan.evaluation.model_copy(update={"metric": "dice_wt"})})
    (run / "run" / "plan.json").write_bytes(other.canonical())
    found = read(run)
    last = [each for each in records(("north",)) if each.round == 2 and each.samples][-1]
    assert (found.metric, found.value) == ("dice_wt", last.metrics["dice_wt"].value)


def test_why_a_run_failed_is_its_message(run):
    write_record(run / RESULT, result("Failed", failure=Problem(reason="QuorumLost", detail="two are gone")))
    assert (read(run).outcome, read(run).message) == ("Failed", "QuorumLost two are gone")


def test_when_rounds_closed_is_known_from_before_the_watch(run, held):
    closed = [
        ClosedRound(round=each, sites=("north",), missing=(), opened_at=0.0, closed_at=60.0 * each) for each in (1, 2)
    ]
    (run / ROUNDS).write_text("".join(each.model_dump_json(by_alias=True) + "\n" for each in closed))
    track = Track()
    track.take(read(run), datetime.fromtimestamp(120, UTC))
    assert track.remaining(read(run), datetime.fromtimestamp(120, UTC)) == timedelta(minutes=4)


def test_a_run_is_looked_at_again_only_when_its_files_have_changed_and_no_more_after_its_end(run, held):
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 2:
            write_record(run / RESULT, result("Completed", rounds_done=6, finished_at=STARTED))
        if len(pauses) == 3:
            fcntl.flock(held, fcntl.LOCK_UN)

    seen = [each.state for each in follow(run, pause)]
    assert seen[:2] == ["Training", "Completed"]
    assert (set(seen[2:]), len(pauses)) == ({"Completed"}, 3)


def test_a_run_that_has_not_begun_to_train_is_waited_for(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "plan.json").write_text("{}")
    assert is_run(tmp_path)
    assert read(tmp_path) is None
    assert list(follow(tmp_path, pytest.fail)) == []


def test_any_other_folder_is_no_run(tmp_path):
    assert not is_run(tmp_path)
    assert not is_run(tmp_path / "nothing")
