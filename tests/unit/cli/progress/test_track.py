"""What a watcher makes of the moments it saw: the line of the metric, and the time to go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.cli.jobs import NOW, job

from fedward_cli.progress.of_cluster import read
from fedward_cli.progress.track import Track, draw

MINUTE = timedelta(minutes=1)


def seen(*rounds_at, **changes):
    """A track that saw rounds open at these minutes, and its last moment."""
    track, moment = Track(), None
    for round_number, minute in rounds_at:
        moment = replace(read(job(round=round_number)), **changes)
        track.take(moment, NOW + minute * MINUTE)
    return track, moment


def test_the_time_to_go_is_what_the_rounds_seen_took_in_the_middle():
    track, moment = seen((7, 0), (8, 1), (9, 3), (10, 5), (11, 17))
    # Rounds 8 to 10 took 2, 2 and 12 minutes; 20 are left, the open one from now on.
    assert track.remaining(moment, NOW + 17 * MINUTE) == 40 * MINUTE


def test_a_long_round_takes_from_the_time_to_go_no_more_than_its_share():
    track, moment = seen((7, 0), (8, 1), (9, 3))
    assert track.remaining(moment, NOW + 4 * MINUTE) == (22 * 2 - 1) * MINUTE
    assert track.remaining(moment, NOW + 500 * MINUTE) == 21 * 2 * MINUTE


def test_before_a_round_was_seen_whole_the_time_since_the_start_has_to_do():
    track, moment = seen((7, 0))
    # Six rounds and half of one in four hours; 23 and a half are left.
    assert track.remaining(moment, NOW) == timedelta(hours=4) / 6.5 * 23.5


@pytest.mark.parametrize("changes", [{"attempt": 2}, {"outcome": "Failed"}, {"started": None}, {"round": 1}])
def test_where_nothing_is_known_to_go_by_nothing_is_said(changes):
    track, moment = seen((7, 0), **changes)
    assert track.remaining(moment, NOW) is None


def test_another_attempts_rounds_are_timed_anew():
    track, _ = seen((7, 0), (8, 1), (9, 2))
    again = replace(read(job(round=9)), attempt=2)
    track.take(again, NOW + 90 * MINUTE)
    assert track.remaining(again, NOW + 90 * MINUTE) is None


def test_the_line_has_a_block_for_each_round_from_the_lowest_to_the_highest():
    track = Track()
    for round_number, value in ((1, 0.0), (2, 0.5), (2, 0.6), (3, 1.0)):
        track.take(replace(read(job(round=round_number)), value=value), NOW)
    assert track.sparkline() == "▁▅█"
    assert track.sparkline(2) == "▁█"


@pytest.mark.parametrize(("values", "line"), [([], ""), ([0.3], "▁"), ([0.3, 0.3], "▁▁"), ([2, 1], "█▁")])
def test_a_line_of_few_or_like_values(values, line):
    assert draw(values) == line
