"""What a job's history says of a round that an attempt's restart found closed."""

from fedward_server import events
from fedward_server.history import Historian

REPORT = events.Report(metrics={}, train_loss=0, fetch_seconds=1, evaluate_seconds=1, train_seconds=1, steps=1)


def arrived(site, at):
    return events.UpdateArrived(
        at=at,
        site=site,
        attempt=1,
        round=1,
        digest=bytes(32),
        nbytes=5,
        samples=9,
        report=REPORT,
        release=None,
        submit_seconds=2,
    )


def test_a_round_that_was_closed_before_a_restart_opened_when_it_did():
    historian = Historian()
    happened = (
        events.AttemptStarted(at=1, attempt=1, plan=bytes(32)),
        events.TrainingStarted(at=2),
        arrived("east", at=8),
        arrived("north", at=9),
        events.RoundClosed(at=10, round=1, counted={"east": bytes(32), "north": bytes(32)}, missing=(), why=""),
        events.AttemptStarted(at=50, attempt=2, plan=bytes(32)),
        events.ModelMade(at=52, model=events.Model(round=1, digest=bytes(32), nbytes=9), seconds=1, shares={}),
    )
    *_, told = (entry for event in happened for entry in historian.tell(event))
    assert (told.round_closed.opened_at, told.round_closed.closed_at) == (2, 10)
