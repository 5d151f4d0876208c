"""How a process logs: one line an event on stderr, as JSON for machines or as text for people."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import sys
import threading
import warnings
from collections.abc import Collection, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import TextIO

FORMAT, LEVEL = "FEDWARD_LOG_FORMAT", "FEDWARD_LOG_LEVEL"
"""The two settings, in the environment: json or text; debug, info, warning, error or critical."""

_SETTINGS = {FORMAT: ("json", "text"), LEVEL: ("debug", "info", "warning", "error", "critical")}
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_BARE = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

_everywhere: dict[str, object] = {}
_here: ContextVar[Mapping[str, object]] = ContextVar("fields of each log line", default=MappingProxyType({}))


class TextFormatter(logging.Formatter):
    """Renders a record for people: `time level process logger message key=value …`.

    What `bind` says of the whole process is left out: people read one process's lines, and it is the same in each.
    """

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; an exception follows as one quoted value."""
        parts = [_time(record), record.levelname, self._process, record.name, _one_line(record.getMessage())]
        fields = {**_here.get(), **_extras(record, self)}
        return " ".join(parts + [f"{key}={_value(value)}" for key, value in fields.items()])


class JsonFormatter(logging.Formatter):
    """Renders a record as a JSON object in ASCII: `time`, `level`, `process`, `logger`, `message`, then its fields."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        first = {
            "time": _time(record),
            "level": record.levelname,
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        fields = {**_everywhere, **_here.get(), **_extras(record, self)}
        # The first five are what a line is found by: no field may stand in their place.
        return json.dumps({**first, **{key: _plain(value) for key, value in fields.items() if key not in first}})


def configure(process: str) -> None:
    """Send all logging of this process to stderr, each line naming `process`; called once, by its main.

    Python's warnings go the same way. JSON is for whatever collects logs: without a setting it is chosen where stderr
    is no terminal.

    Raises:
        SystemExit: a setting says something that there is not.
    """
    if wrong := complaints(os.environ):
        raise SystemExit("; ".join(wrong))
    form = os.environ.get(FORMAT, "").lower() or ("text" if sys.stderr.isatty() else "json")
    level = os.environ.get(LEVEL, "") or "info"
    _everywhere.clear()
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter(process) if form == "json" else TextFormatter(process))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    warnings.showwarning = _show_warning
    if form == "json":
        # A traceback of many lines is for people.
        sys.excepthook = _log_death
        threading.excepthook = _log_death_of_thread


def complaints(environ: Mapping[str, str]) -> list[str]:
    """Say of each setting in an environment that there is not what it may be set to."""
    return [
        f"{name} is {environ[name]!r}; set it to one of {', '.join(choices)}"
        for name, choices in _SETTINGS.items()
        if environ.get(name, "").lower() not in ("", *choices)
    ]


def bind(**fields: str | int) -> None:
    """Have every later line of this process carry these: what the whole process is about."""
    _everywhere.update(fields)


def about(**fields: str | int) -> None:
    """Have every later line of the present task carry these, and of the tasks and threads that it begins."""
    _here.set({**_here.get(), **fields})


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _extras(record: logging.LogRecord, formatter: logging.Formatter) -> dict[str, object]:
    extras = {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}
    if record.exc_info:
        extras["exception"] = formatter.formatException(record.exc_info)
    return extras


def _one_line(text: str) -> str:
    # A peer's text must not be able to look like a line of ours.
    return _CONTROLS.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text)


def _plain(value: object) -> object:
    """Turn a value into what JSON can say."""
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Collection) and not isinstance(value, bytes | bytearray):
        return [_plain(each) for each in value]
    return str(value)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - the signature is Python's
    line: str | None = None,  # noqa: ARG001
) -> None:
    extra = {"category": category.__name__, "where": f"{filename}:{lineno}"}
    logging.getLogger("py.warnings").warning("%s", message, extra=extra)


def _log_death(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("python").critical("the process dies", exc_info=(kind, error, trace))


def _log_death_of_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_value is not None:
        found = (died.exc_type, died.exc_value, died.exc_traceback)
        name = died.thread.name if died.thread else "unknown"
        logging.getLogger("python").critical("a thread dies", exc_info=found, extra={"thread_name": name})
