"""What a tracker identifies itself with: the keys of the Secret that the job names, as files that follow it."""

from __future__ import annotations

import unicodedata
from collections.abc import MutableMapping
from pathlib import Path

from fedward_cli.tracking.follow import Book
from fedward_cli.tracking.trouble import TrackingError
from fedward_operator.api.tracking import CREDENTIALS

_TOKEN = "MLFLOW_TRACKING_TOKEN"  # noqa: S105 - its name
_AUTHORITY, _CERTIFICATE = "ca.crt", "MLFLOW_TRACKING_SERVER_CERT_PATH"


class Identified:
    """A logbook whose server is told, at each try, with what the Secret holds by then."""

    def __init__(self, book: Book, folder: Path, environ: MutableMapping[str, str]) -> None:
        self._book, self._folder, self._environ = book, folder, environ

    @property
    def logged(self) -> int:
        """Up to which round everything is logged."""
        return self._book.logged

    def advance(self, *, is_over: bool, now: float) -> None:
        """Log what there is that is not logged.

        Raises:
            TrackingError: the Secret holds what no server could be told, or the server could not be told.
        """
        take_credentials(self._folder, self._environ)
        self._book.advance(is_over=is_over, now=now)


def take_credentials(folder: Path, environ: MutableMapping[str, str]) -> None:
    """Put what the folder has into the environment, which MLflow's client reads at each request, and nothing else.

    Args:
        folder: where the Secret is mounted; a key that is missing has no file.
        environ: variables of what is missing are taken out.

    Raises:
        TrackingError: a file cannot be read, or is nothing that a request can carry; its content is not in the text.
    """
    found = {name: _credential(folder, name) for name in CREDENTIALS}
    found[_CERTIFICATE] = str(folder / _AUTHORITY) if (folder / _AUTHORITY).exists() else None
    for name, value in found.items():
        if value is None:
            environ.pop(name, None)
        else:
            environ[name] = value


def _credential(folder: Path, name: str) -> str | None:
    try:
        # An editor ends a file with a line break, which is no part of a password.
        text = (folder / name).read_bytes().decode().removesuffix("\n")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise TrackingError(f"is not asked: {name} of the job's Secret cannot be read ({error.strerror})") from error
    # A token goes into a header as it is; user name and password do so in base64, but may hold no control character.
    if any(unicodedata.category(each) == "Cc" for each in text) or (name == _TOKEN and not text.isascii()):
        kind = "ASCII" if name == _TOKEN else "UTF-8"
        raise TrackingError(f"is not asked: {name} of the job's Secret has to be one line of text in {kind}")
    return text
