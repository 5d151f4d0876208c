import asyncio
import io
import json
import logging
import sys
import threading
import warnings

import pytest

from fedward_protocol import logs


class Screen(io.StringIO):
    """A stderr that says whether it is a terminal."""

    def __init__(self, is_terminal):
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self):
        return self._is_terminal

    def lines(self):
        return self.getvalue().splitlines()

    def last(self):
        return json.loads(self.lines()[-1])


@pytest.fixture
def start(monkeypatch):
    """Configure logging as a process would, and leave no trace of it."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    for owner, name in ((sys, "excepthook"), (threading, "excepthook"), (warnings, "showwarning")):
        monkeypatch.setattr(owner, name, getattr(owner, name))

    def configured(*, terminal=False, **settings):
        for name in (logs.FORMAT, logs.LEVEL):
            monkeypatch.delenv(name, raising=False)
        for name, value in settings.items():
            monkeypatch.setenv(f"FEDWARD_LOG_{name.upper()}", value)
        monkeypatch.setattr(sys, "stderr", screen := Screen(terminal))
        logs.configure("gateway")
        return screen

    yield configured
    root.handlers[:] = handlers
    root.setLevel(level)


LOG = logging.getLogger("fedward_test")


def test_a_line_is_one_object_with_time_level_process_logger_message_and_what_was_passed_with_it(start):
    screen = start()
    LOG.info("site lost", extra={"site": "north", "round": 3, "missing": ("east", "west")})
    line = screen.last()
    assert list(line) == ["time", "level", "process", "logger", "message", "site", "round", "missing"]
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "INFO",
        "process": "gateway",
        "logger": "fedward_test",
        "message": "site lost",
        "site": "north",
        "round": 3,
        "missing": ["east", "west"],
    }


@pytest.mark.parametrize(
    ("terminal", "setting", "is_json"),
    [(False, {}, True), (True, {}, False), (True, {"format": "JSON"}, True), (False, {"format": "text"}, False)],
)
def test_a_terminal_gets_text_and_anything_else_json_unless_a_setting_says_otherwise(start, terminal, setting, is_json):
    screen = start(terminal=terminal, **setting)
    LOG.info("serving")
    assert screen.lines()[0].startswith("{") is is_json


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_is_a_field_of_its_line(start, form):
    screen = start(format=form)
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        LOG.exception("it broke")
    (line,) = screen.lines()
    assert "Traceback" in line
    if form == "json":
        assert json.loads(line)["exception"].splitlines()[-2:] == ["ValueError: first", "second"]


EVIL = 'x"}\n{"time":"2030-01-01T00:00:00Z","level":"INFO","process":"gateway"}\r\x1b[2K\x7f\x85\u2028\udc80'


@pytest.mark.parametrize("form", ["json", "text"])
def test_what_a_peer_says_can_neither_end_a_line_nor_reach_a_terminals_commands(start, form):
    screen = start(format=form)
    LOG.warning("refused: %s", EVIL, extra={"detail": EVIL, "known": {EVIL: EVIL}})
    text = screen.getvalue()
    assert text.count("\n") == len(text.splitlines()) == 1
    assert not any(each in text[:-1] for each in "\n\r\x1b\x7f\x85\u2028")
    if form == "json":
        assert (json.loads(text)["process"], json.loads(text)["detail"]) == ("gateway", EVIL)


def test_no_field_stands_in_the_place_of_a_lines_own(start):
    screen = start()
    LOG.error("real", extra={"time": "never", "level": "DEBUG", "logger": "other"})
    line = screen.last()
    assert (line["level"], line["logger"], line["message"]) == ("ERROR", "fedward_test", "real")
    assert line["time"] != "never"


def test_numbers_that_json_has_not_do_not_spoil_a_line(start):
    screen = start()
    LOG.info("loss", extra={"loss": float("nan"), "bound": float("inf"), "rate": 0.5, "where": object})
    line = json.loads(screen.lines()[0], parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert (line["loss"], line["bound"], line["rate"], line["where"]) == ("nan", "inf", 0.5, "<class 'object'>")


def test_what_the_process_is_about_is_in_each_line_of_json_and_in_no_line_of_text(start):
    for form, said in (("json", "research/toy"), ("text", None)):
        screen = start(format=form)
        logs.bind(job="research/toy", attempt=2)
        LOG.info("serving")
        assert ("research/toy" in screen.getvalue()) is (said is not None)
    screen = start(format="json")
    LOG.info("serving")
    assert "job" not in screen.last(), "a process begins with nothing said about it"


async def test_what_a_call_is_about_is_in_its_lines_and_those_of_its_threads_and_in_no_other_calls(start):
    screen = start()
    entered = asyncio.Event()

    async def first():
        logs.about(job="a", attempt=1)
        entered.set()
        await asyncio.to_thread(LOG.info, "from the thread of a")

    async def second():
        await entered.wait()
        LOG.info("from b")

    await asyncio.gather(first(), second())
    said = {line["message"]: line.get("job") for line in map(json.loads, screen.lines())}
    assert said == {"from the thread of a": "a", "from b": None}


def test_a_line_says_more_exactly_what_its_call_and_its_process_said_too(start):
    screen = start()
    logs.bind(attempt=1, site="north")

    def call():
        logs.about(attempt=2)
        LOG.info("superseded")
        LOG.info("superseded", extra={"attempt": 3})

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    lines = [json.loads(line) for line in screen.lines()]
    assert [(line["attempt"], line["site"]) for line in lines] == [(2, "north"), (3, "north")]


def test_warnings_go_the_same_way_on_one_line(start):
    screen = start()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("old\nway", FutureWarning, stacklevel=1)
    line = screen.last()
    assert (line["logger"], line["message"], line["category"]) == ("py.warnings", "old\nway", "FutureWarning")
    assert "test_logs.py:" in line["where"]


def test_a_process_and_a_thread_that_die_say_so_on_one_line(start):
    screen = start()
    sys.excepthook(RuntimeError, RuntimeError("no"), None)
    thread = threading.Thread(target=lambda: 1 / 0, name="probes")
    thread.start()
    thread.join()
    died, thread_died = map(json.loads, screen.lines())
    assert (died["level"], died["exception"]) == ("CRITICAL", "RuntimeError: no")
    assert (thread_died["thread_name"], "ZeroDivisionError" in thread_died["exception"]) == ("probes", True)


@pytest.mark.parametrize(("level", "said"), [("warning", ["WARNING"]), ("DEBUG", ["DEBUG", "INFO", "WARNING"])])
def test_the_level_is_a_setting(start, level, said):
    screen = start(level=level)
    LOG.debug("a")
    LOG.info("b")
    LOG.warning("c")
    assert [json.loads(line)["level"] for line in screen.lines()] == said


@pytest.mark.parametrize(("setting", "value"), [("format", "yaml"), ("level", "loud")])
def test_a_setting_that_there_is_not_ends_the_process_with_a_word(start, setting, value):
    with pytest.raises(SystemExit, match=f"FEDWARD_LOG_{setting.upper()} is '{value}'; set it to one of"):
        start(**{setting: value})
