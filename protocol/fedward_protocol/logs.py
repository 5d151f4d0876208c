"""How a process logs: one line an event on stderr, `time level process logger message key=value …`."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime

_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_BARE = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class LineFormatter(logging.Formatter):
    """Renders a record, what was passed as `extra` included, as exactly one line for each event."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line; an exception follows as one quoted value."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        parts = [time, record.levelname, self._process, record.name, _one_line(record.getMessage())]
        extras = {key: value for key, value in vars(record).items() if key not in _STANDARD_FIELDS}
        if record.exc_info:
            extras["exception"] = self.formatException(record.exc_info)
        return " ".join(parts + [f"{key}={_value(value)}" for key, value in extras.items()])


def configure(process: str, level: int = logging.INFO) -> None:
    """Send all logging of this process to stderr, each line naming `process`; called once, by its main."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(process))
    logging.basicConfig(level=level, handlers=[handler], force=True)


def _one_line(text: str) -> str:
    # A peer's text must not be able to look like a line of ours.
    return _CONTROLS.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _value(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if _BARE.fullmatch(text) else json.dumps(text)
