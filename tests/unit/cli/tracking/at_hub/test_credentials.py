"""A job's Secret: what its folder holds at a try is what the server is told with, and nothing of it is repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fedward_cli.tracking.at_hub.credentials import Identified, take_credentials
from fedward_cli.tracking.trouble import TrackingError

USERNAME, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
CERTIFICATE = "MLFLOW_TRACKING_SERVER_CERT_PATH"


class Book:
    """A logbook that calls the test at each try."""

    def __init__(self, tried: Callable[[], None]) -> None:
        self.logged, self._tried = 0, tried

    def advance(self, *, is_over: bool, now: float) -> None:
        self.logged += 1
        self._tried()


def test_each_key_that_there_is_becomes_its_variable_without_an_editors_last_line_break(tmp_path: Path) -> None:
    (tmp_path / USERNAME).write_text("ada\n")
    (tmp_path / PASSWORD).write_text("p\u00e4ss $(WORD)\n", encoding="utf-8")
    (tmp_path / "ca.crt").touch()
    (tmp_path / "PATH").write_text("/elsewhere")
    environ = {"PATH": "/usr/bin"}
    take_credentials(tmp_path, environ)
    taken = {USERNAME: "ada", PASSWORD: "p\u00e4ss $(WORD)", CERTIFICATE: str(tmp_path / "ca.crt")}
    assert environ == {"PATH": "/usr/bin", **taken}


@pytest.mark.parametrize("folder", [".", "missing"])
def test_what_is_missing_is_no_variable_any_more(tmp_path: Path, folder: str) -> None:
    environ = {USERNAME: "old", TOKEN: "old", CERTIFICATE: "/old"}
    take_credentials(tmp_path / folder, environ)
    assert environ == {}


def test_each_try_takes_what_the_secret_holds_by_then(tmp_path: Path) -> None:
    environ: dict[str, str] = {}
    told: list[str | None] = []
    book = Identified(Book(lambda: told.append(environ.get(TOKEN))), tmp_path, environ)
    for text in (None, "first", "second"):
        if text:
            (tmp_path / TOKEN).write_text(text)
        book.advance(is_over=False, now=0)
    assert told == [None, "first", "second"]
    assert book.logged == 3


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        (PASSWORD, b"open\xffsesame", "UTF-8"),
        (PASSWORD, b"open\0sesame", "UTF-8"),
        (USERNAME, b"open\r\n", "UTF-8"),
        (TOKEN, b"open\nsesame", "ASCII"),
        (TOKEN, "opens\u00e9same".encode(), "ASCII"),
    ],
)
def test_what_no_request_can_carry_is_said_without_its_content_and_nobody_is_told(
    tmp_path: Path, name: str, content: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(content)
    environ: dict[str, str] = {}
    book = Book(lambda: None)
    with pytest.raises(TrackingError) as raised:
        Identified(book, tmp_path, environ).advance(is_over=False, now=0)
    assert str(raised.value) == f"is not asked: {name} of the job's Secret has to be one line of text in {kind}"
    assert (environ, book.logged) == ({}, 0)


def test_a_key_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / TOKEN).mkdir()
    with pytest.raises(TrackingError, match=r"MLFLOW_TRACKING_TOKEN of the job's Secret cannot be read \(Is a dir"):
        take_credentials(tmp_path, {})
