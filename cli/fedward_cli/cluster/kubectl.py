"""Runs kubectl."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import IO, Any, Protocol

Object = dict[str, Any]

RESEARCHERS = "docs/hub-admin.md#researchers"
"""Where the rights of a researcher are, to be given."""

_LOG_LINE = re.compile(r"[EW][0-9]{4} ")
"""kubectl's own log of what it tried; its last words say the same, to people."""

_FORBIDDEN = re.compile(
    r'cannot (?P<verb>\w+) resource "(?P<resource>[^"]+)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]+)")?'
)

_AWAY = (
    "The connection to the server",
    "Unable to connect to the server",
    "invalid configuration: ",
    "Error in configuration: ",
)

_context: list[str] = []
"""`--context NAME`, where this command was told so: kubectl knows no variable of the environment for it."""


class ClusterError(Exception):
    """It could not be done at the cluster; the message says why."""


class ForbiddenError(ClusterError):
    """A right is missing; the message names it.

    Attributes:
        right: what may not be done: `list sitejobs in the namespace fedward`.
    """

    def __init__(self, right: str, said: str) -> None:
        self.right = right
        super().__init__(
            f"the right to {right} is missing: ask the cluster's administrator (for researchers: {RESEARCHERS})\n{said}"
        )


class KindUnknownError(ClusterError):
    """The cluster knows no such kind: it is none of Fedward's, or of the other side of the federation."""


class AwayError(ClusterError):
    """No cluster could be asked: there is no kubectl, it knows of none, or none answers."""


class Kubectl(Protocol):
    """Runs kubectl with these arguments and returns what it prints."""

    def __call__(self, arguments: Sequence[str], given: str | None = None) -> str:
        """Run it; `given` is its standard input."""
        ...


def use(context: str | None, kubeconfig: str | None) -> None:
    """Choose what every kubectl of this command talks to; kubectl's own choice where None."""
    _context[:] = ["--context", context] if context else []
    if kubeconfig:
        os.environ["KUBECONFIG"] = kubeconfig


def kubectl(arguments: Sequence[str], given: str | None = None) -> str:
    """Run kubectl.

    Raises:
        ClusterError: it is not there, or says no; its words are passed on.
    """
    try:
        done = subprocess.run(  # noqa: S603
            command(arguments), input=given, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise _absent() from error
    if done.returncode:
        raise error_of(done.stderr, done.returncode)
    return done.stdout


@contextmanager
def streamed(arguments: Sequence[str]) -> Iterator[Iterator[str]]:
    """Run kubectl for as long as it runs, and give its lines as they come, without what ends them.

    It ends with the block. A byte that is no UTF-8 becomes U+FFFD.

    Raises:
        ClusterError: it is not there, or said no at the end of its lines.
    """
    try:
        process = subprocess.Popen(command(arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # noqa: S603
    except FileNotFoundError as error:
        raise _absent() from error
    assert process.stdout is not None
    assert process.stderr is not None
    with process:
        try:
            yield _lines(process)
        finally:
            process.kill()


@contextmanager
def piped(arguments: Sequence[str]) -> Iterator[IO[bytes]]:
    """Run kubectl, and give its standard output as bytes.

    Raises:
        ClusterError: it is not there, or says no, also where that is why the output could not be used.
    """
    with ExitStack() as stack:
        said = stack.enter_context(TemporaryFile())
        try:
            process = stack.enter_context(subprocess.Popen(command(arguments), stdout=subprocess.PIPE, stderr=said))  # noqa: S603
        except FileNotFoundError as error:
            raise _absent() from error
        assert process.stdout is not None
        try:
            yield process.stdout
            # Whoever reads a tar stops before its padding; a kubectl that cannot write that would say that it failed.
            process.stdout.read()
        finally:
            process.stdout.close()
            if process.wait():
                said.seek(0)
                raise error_of(said.read().decode("utf-8", "replace"), process.returncode)


def command(arguments: Sequence[str]) -> list[str]:
    """Give the command line that runs kubectl with these arguments."""
    return ["kubectl", *_context, *arguments]


def error_of(said: str, code: int) -> ClusterError:
    """Make the error of what kubectl said when it ended badly."""
    words = "\n".join(line for line in said.strip().splitlines() if not _LOG_LINE.match(line))
    if "(Forbidden)" in words and (match := _FORBIDDEN.search(words)):
        where = f"in the namespace {match['namespace']}" if match["namespace"] else "in the whole cluster"
        return ForbiddenError(f"{match['verb']} {match['resource']} {where}", words)
    if "the server doesn't have a resource type" in words:
        return KindUnknownError(words)
    if any(each in words for each in _AWAY):
        return AwayError(words)
    return ClusterError(words or f"kubectl ended with {code}")


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


def _absent() -> AwayError:
    return AwayError("this needs kubectl on the PATH, set up for the cluster")


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    assert process.stdout is not None
    assert process.stderr is not None
    # Of bytes only a newline ends a line. Of text a carriage return does too, and what a pod says behind one would
    # pass for a line of another pod.
    for line in process.stdout:
        yield line.decode("utf-8", "replace").removesuffix("\n")
    said = process.stderr.read().decode("utf-8", "replace")
    if process.wait():
        raise error_of(said, process.returncode)
