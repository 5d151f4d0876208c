"""How long a job's rounds took, read off its aggregator's journal: the same for a cluster and for one machine."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path

from fedward_server import events


def seconds(journal: Path) -> list[float]:
    """Return how long each round took, from one model to the next."""
    with sqlite3.connect(f"file:{journal}?mode=ro", uri=True) as connection:
        happened = [
            events.from_json(text) for (text,) in connection.execute("SELECT event FROM events ORDER BY number")
        ]
    opened = next(event.at for event in happened if isinstance(event, events.TrainingStarted))
    made = [event.at for event in happened if isinstance(event, events.ModelMade) and event.at > opened]
    return [later - earlier for earlier, later in pairwise([opened, *made])]
