"""What a cluster's API server shows of itself to a check, by the rights that it has."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from fedward_operator.checks.connection import Answer, ProxyRefusedError, Server, ask, secure
from fedward_operator.kube.access import Access, AccessError
from fedward_operator.kube.errors import ApiError, UnavailableError, status_message


class Cluster:
    """Reads from one API server."""

    def __init__(self, access: Access) -> None:
        self._access = access

    @property
    def context(self) -> ssl.SSLContext:
        """Whom its clients believe."""
        return self._access.context

    def items(self, path: str) -> list[dict[str, Any]]:
        """List a collection.

        Raises:
            ApiError, UnavailableError.
        """
        found: list[dict[str, Any]] = self._read(path)["items"] or []
        return found

    def item(self, path: str) -> dict[str, Any] | None:
        """Read an object; None if it is not there.

        Raises:
            ApiError, UnavailableError.
        """
        try:
            return dict(self._read(path))
        except ApiError as error:
            if error.is_gone:
                return None
            raise

    def _read(self, path: str) -> Mapping[str, Any]:
        url = urlsplit(self._access.server)
        host = url.hostname or ""
        try:
            server = Server(host, url.port or 443, self._access.proxy())
            with secure(server, self._access.context, self._access.server_name or host) as stream:
                answer = ask(stream, host, path, self._access.bearer())
            return _document(answer)
        except (OSError, ProxyRefusedError, AccessError, http.client.HTTPException, ValueError) as error:
            raise UnavailableError(f"{self._access.server}: {error}") from error


def _document(answer: Answer) -> Mapping[str, Any]:
    if answer.status >= 400:
        reason, message, wait = status_message(answer.body)
        raise ApiError(answer.status, reason, message, wait)
    found: Mapping[str, Any] = json.loads(answer.body)
    return found
