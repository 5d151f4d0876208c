"""Runs kubectl."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from typing import Any, Protocol

Object = dict[str, Any]

_LOG_LINE = re.compile(r"[EW][0-9]{4} ")
"""kubectl's own log of what it tried; its last words say the same, to people."""


class ClusterError(Exception):
    """It could not be done at the cluster; the message says why."""


class Kubectl(Protocol):
    """Runs kubectl with these arguments and returns what it prints."""

    def __call__(self, arguments: Sequence[str], given: str | None = None) -> str:
        """Run it; `given` is its standard input."""
        ...


def kubectl(arguments: Sequence[str], given: str | None = None) -> str:
    """Run kubectl.

    Raises:
        ClusterError: it is not there, or says no; its words are passed on.
    """
    command = ["kubectl", *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise ClusterError("this needs kubectl on the PATH, set up for the cluster") from error
    if done.returncode:
        said = "\n".join(line for line in done.stderr.strip().splitlines() if not _LOG_LINE.match(line))
        raise ClusterError(said or f"kubectl ended with {done.returncode}")
    return done.stdout


def find(run: Kubectl, kind: str, name: str, namespace: str | None = None) -> Object | None:
    """Read an object; None if it is not there.

    Raises:
        ClusterError: kubectl says no.
    """
    said = run(["get", kind, name, "--ignore-not-found", "-o", "json", *within(namespace)])
    return json.loads(said) if said.strip() else None


def listed(run: Kubectl, kind: str, *where: str) -> list[Object]:
    """Read the objects of a kind.

    Raises:
        ClusterError: kubectl says no.
    """
    found: list[Object] = json.loads(run(["get", kind, "-o", "json", *where]))["items"]
    return found


def apply(run: Kubectl, documents: Sequence[Object]) -> None:
    """Make objects be as the documents say, as far as they say.

    Raises:
        ClusterError: kubectl says no.
    """
    given = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(documents)})
    run(["apply", "--server-side", "--force-conflicts", "--field-manager=fedward", "-f", "-"], given)


def within(namespace: str | None) -> list[str]:
    """Name a namespace; kubectl's own where None."""
    return ["--namespace", namespace] if namespace else []
