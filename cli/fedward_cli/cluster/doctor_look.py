"""What an administrator may see of a cluster; what may not be seen is written down, and nothing is made of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable

from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, within
from fedward_operator.checks.finding import Finding, skipped


class Look:
    """Reads through kubectl around one installation.

    Attributes:
        namespace: where it is installed.
        unseen: a finding for each thing that could not be read.
    """

    def __init__(self, run: Kubectl, namespace: str) -> None:
        self._run, self.namespace = run, namespace
        self.unseen: list[Finding] = []

    def here(self, kind: str, *where: str) -> list[Object] | None:
        """List what is in the namespace; None if it may not be seen."""
        return self._read(kind, *within(self.namespace), *where)

    def everywhere(self, kind: str, *where: str) -> list[Object] | None:
        """List what is in the whole cluster; None if it may not be seen."""
        return self._read(kind, "--all-namespaces", *where)

    def named(self, kind: str, names: Iterable[str]) -> dict[str, Object] | None:
        """Read objects of the whole cluster by name, as far as they are there; None if they may not be seen."""
        found = self._read(kind, "--ignore-not-found", *names)
        return None if found is None else {each["metadata"]["name"]: each for each in found}

    def file(self, secret: str, name: str) -> bytes | None:
        """Read one file of a Secret, and nothing else of it; None if it is not there, or may not be seen."""
        path = "{.data." + name.replace(".", r"\.") + "}"
        command = ["get", "secret", secret, "--ignore-not-found", "-o", f"jsonpath={path}", *within(self.namespace)]
        try:
            return base64.b64decode(self._run(command)) or None
        except ClusterError as error:
            self._note(f"secret {secret}", error)
            return None

    def _read(self, kind: str, *arguments: str) -> list[Object] | None:
        try:
            said = self._run(["get", kind, "-o", "json", *arguments])
        except ClusterError as error:
            self._note(kind, error)
            return None
        if not said.strip():
            return []
        document = json.loads(said)
        # Of several names of which one is there, kubectl shows that one without a list around it.
        items: list[Object] = document["items"] if document["kind"] == "List" else [document]
        return items

    def _note(self, what: str, error: ClusterError) -> None:
        self.unseen.append(skipped(what, f"it cannot be seen: {error}"))
