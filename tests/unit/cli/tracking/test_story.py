"""A run's records, read while they are written: each round once, whole, and no more of them than one."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.tracking.records import SITES, evaluation, part, write_rounds

from fedward_cli.problems import InputError
from fedward_cli.results import METRICS, ROUNDS
from fedward_cli.tracking.story import Story


def told(story: Story) -> list[tuple[int, tuple[str, ...]]]:
    found = []
    while chapter := story.next():
        assert chapter.closed is not None
        found.append((chapter.closed.round, tuple(sorted(each.site for each in chapter.parts))))
        story.done()
    return found


def test_rounds_come_whole_and_in_order_as_they_close(tmp_path: Path) -> None:
    story = Story(tmp_path)
    assert told(story) == []
    write_rounds(tmp_path, 1, 2)
    assert told(story) == [(1, SITES), (2, SITES)]
    write_rounds(tmp_path, 3, 3)
    assert told(story) == [(3, SITES)]


def test_a_round_stays_the_next_until_it_is_done_with(tmp_path: Path) -> None:
    write_rounds(tmp_path, 1, 2)
    story = Story(tmp_path)
    assert story.next() is story.next()


@pytest.mark.parametrize("name", [METRICS, ROUNDS])
def test_a_line_that_is_half_written_is_waited_for(tmp_path: Path, name: str) -> None:
    write_rounds(tmp_path, 1, 1)
    whole = (tmp_path / name).read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    rounds = (tmp_path / ROUNDS).read_bytes()
    (tmp_path / name).write_bytes(whole[: -len(line) // 2])
    if name == METRICS:
        (tmp_path / ROUNDS).unlink()
    story = Story(tmp_path)
    assert told(story) == []
    (tmp_path / name).write_bytes(whole)
    (tmp_path / ROUNDS).write_bytes(rounds)
    assert told(story) == [(1, SITES)]


@pytest.mark.parametrize("name", [METRICS, ROUNDS])
def test_a_line_that_is_no_record_is_bad_input(tmp_path: Path, name: str) -> None:
    write_rounds(tmp_path, 1, 1)
    (tmp_path / name).write_bytes(b"\xff\n")
    with pytest.raises(InputError, match=rf"{name}:1: Invalid JSON"):
        Story(tmp_path).next()


def test_the_rest_is_the_last_models_evaluation_however_often_it_is_asked_for(tmp_path: Path) -> None:
    write_rounds(tmp_path, 1, 2, evaluated=True)
    story = Story(tmp_path)
    told(story)
    for _ in range(2):
        (chapter,) = story.rest()
        assert [(each.site, each.samples) for each in chapter.parts] == [("north", 0), ("south", 0)]


def test_rounds_that_nobody_wrote_down_as_closed_are_told_at_the_end(tmp_path: Path) -> None:
    lines = [part(1, "north"), part(2, "north"), evaluation(2, "north", 0.5)]
    (tmp_path / METRICS).write_text("".join(each.model_dump_json(by_alias=True) + "\n" for each in lines))
    story = Story(tmp_path)
    assert story.next() is None
    assert [[each.round for each in chapter.parts] for chapter in story.rest()] == [[1], [2, 2]]
