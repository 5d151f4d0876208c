"""What is drawn on a terminal while a run goes."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from fedward_cli.documents import Documents
from fedward_cli.local.attempt import Attempt
from fedward_cli.local.history import History
from fedward_cli.local.live import Drawn
from fedward_cli.local.processes import Crash
from fedward_cli.local.wording import show_bytes, show_seconds
from fedward_protocol.wire import federation_pb2 as pb


def test_sites_with_their_stages_and_what_became_of_them_are_drawn(tmp_path: Path, documents: Documents) -> None:
    written = StringIO()
    view = Drawn(Console(file=written, force_terminal=True, width=140))
    history = History(tmp_path)
    sites = [
        pb.SiteStatus(
            name="north",
            state="Training",
            progress=pb.Progress(round=2, stage="train", fraction=0.5, loss=0.25),
            metrics={"dice": pb.MeanMetric(sum=3, count=4)},
            bytes_up=1_180_000,
        ),
        pb.SiteStatus(name="south", state="Failed", reason="DatasetEmpty"),
    ]
    closed = pb.RoundClosed(round=1, sites=["north"], missing=["south"], opened_at=10, closed_at=40)
    told = [
        pb.Observation(status=pb.JobStatus(state="Training", round=2, rounds=3, quorum=1, sites=sites)),
        pb.Observation(round_closed=closed),
    ]

    view.started(Attempt(documents.plan(), 1))
    for observation in told:
        view.observed(history, history.take(observation))
    view.crashed(Crash("trainer-south", -9, 3, restarts=False), "    the last line of its log")
    view.close()

    text = Console(width=140).render_str(written.getvalue()).plain
    for expected in (
        "glioma",
        "round 2/3",
        "about 1:00 to go",
        "0.250",
        "0.750",
        "1.18 MB",
        "failed (DatasetEmpty)",
        "round 1/3: 1 of 2 sites",
        "without south",
        "trainer-south was killed by signal 9; it is given up",
        "the last line of its log",
    ):
        assert expected in text


def test_numbers_are_written_for_people() -> None:
    assert [show_bytes(n) for n in (0, 999, 1000, 1_180_000, 12_345_678_900)] == [
        "0 B",
        "999 B",
        "1 kB",
        "1.18 MB",
        "12.3 GB",
    ]
    assert [show_seconds(s) for s in (0, 0.44, 9.96, 59.4, 59.6, 3599.6, 7509)] == [
        "0.0 s",
        "0.4 s",
        "10 s",
        "59 s",
        "1:00",
        "1:00:00",
        "2:05:09",
    ]
