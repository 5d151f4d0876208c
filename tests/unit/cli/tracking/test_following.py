"""How a run is followed: until it is over, through absences, and no longer than there is patience for."""

from __future__ import annotations

from collections.abc import Callable

from fedward_cli.tracking.follow import LONGEST_RETRY_S, SOMEBODY_WAITS, Patience, World, follow, retry_s
from fedward_cli.tracking.trouble import TrackingError


class Book:
    """A logbook whose server answers as the time says."""

    def __init__(self, answer: Callable[[], str | None]) -> None:
        self._answer = answer
        self.logged, self.tries, self.ended = 7, 0, False

    def advance(self, *, is_over: bool, now: float) -> None:
        self.tries += 1
        if trouble := self._answer():
            raise TrackingError(trouble)
        self.ended = self.ended or is_over


class Place:
    """A world whose clock moves only by waiting."""

    def __init__(self, run_ends_at: float) -> None:
        self.now, self.lines = 0.0, list[str]()
        self.world = World(lambda: self.now < run_ends_at, lambda: self.now, self._wait, lambda: 0.5, self.lines.append)

    def _wait(self, seconds: float) -> None:
        self.now += seconds


def test_a_run_is_followed_until_it_is_over() -> None:
    place = Place(run_ends_at=10)
    book = Book(lambda: None)
    assert follow(book, "MLflow", place.world)
    assert (book.ended, place.now, place.lines) == (True, 10, [])


def test_an_absence_is_said_once_and_so_is_its_end() -> None:
    place = Place(run_ends_at=1000)
    book = Book(lambda: "cannot be reached" if 5 <= place.now < 400 else None)
    assert follow(book, "MLflow", place.world)
    assert place.lines == [
        "MLflow cannot be reached; training goes on, and what is missing is logged once it is back",
        "MLflow is back, and has everything up to round 7",
    ]


def test_a_server_that_is_down_is_asked_ever_more_rarely() -> None:
    place = Place(run_ends_at=3600)
    book = Book(lambda: "cannot be reached" if place.now < 3600 else None)
    assert follow(book, "MLflow", place.world)
    assert 3600 / LONGEST_RETRY_S <= book.tries < 100
    assert [retry_s(n, 0.99, LONGEST_RETRY_S) <= LONGEST_RETRY_S for n in (1, 5, 50)] == [True] * 3


def test_the_end_of_a_run_cuts_a_long_wait_short() -> None:
    place = Place(run_ends_at=600)
    book = Book(lambda: "cannot be reached" if place.now < 598 else None)
    assert follow(book, "MLflow", place.world)
    assert place.now == 600


def test_patience_ends_a_documented_time_after_the_run() -> None:
    place = Place(run_ends_at=20)
    assert not follow(Book(lambda: "cannot be reached"), "MLflow", place.world)
    assert SOMEBODY_WAITS.total_s <= place.now - 20 <= SOMEBODY_WAITS.total_s + 10


def test_another_trouble_is_news() -> None:
    place = Place(run_ends_at=0)
    book = Book(lambda: "cannot be reached" if place.now < 5 else "refuses the credentials")
    assert not follow(book, "MLflow", place.world)
    assert place.lines == [
        f"MLflow cannot be reached; it is tried for {SOMEBODY_WAITS}",
        f"MLflow refuses the credentials; it is tried for {SOMEBODY_WAITS}",
    ]


def test_who_has_a_day_tries_rarely_and_says_that_it_has() -> None:
    place = Place(run_ends_at=0)
    book = Book(lambda: "cannot be reached")
    assert not follow(book, "MLflow", place.world, Patience(total_s=86400, longest_retry_s=60))
    assert 86400 <= place.now <= 86400 + 61
    assert 86400 / 60 <= book.tries < 2100
    assert place.lines == ["MLflow cannot be reached; it is tried for 24 h"]
