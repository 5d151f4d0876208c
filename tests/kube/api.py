"""A cluster's API server over one connection that stays open, for what looks at it again and again."""

from __future__ import annotations

import http.client
import json
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_PATIENCE_S = 30


class Api:
    """As the user of a kubeconfig of these tests, whose certificates lie in files beside it."""

    def __init__(self, kubeconfig: Path) -> None:
        document = json.loads(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        context = ssl.create_default_context(cafile=cluster["certificate-authority"])
        context.load_cert_chain(user["client-certificate"], user["client-key"])
        self._host, self._context = urlsplit(cluster["server"]).netloc, context
        self._connection = self._connected()

    def items(self, path: str) -> list[dict[str, Any]]:
        """Read a collection.

        Raises:
            OSError: the API server is away, or says no.
        """
        found: list[dict[str, Any]] = self.request("GET", path)["items"]
        return found

    def request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask something.

        Raises:
            OSError: the API server is away, or says no.
        """
        given = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, path, given, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = self._connected()
            raise OSError(f"{method} {path}: {error}") from error
        if answer.status >= 400:
            raise OSError(f"{method} {path}: {answer.status} {text.decode()[:500]}")
        read: dict[str, Any] = json.loads(text)
        return read

    def _connected(self) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, timeout=_PATIENCE_S, context=self._context)
