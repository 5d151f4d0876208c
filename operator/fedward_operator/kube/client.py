"""A client of one API server, on one event loop: server-side apply, pages, watches. Objects stay plain dictionaries."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import urlencode

import aiohttp

from fedward_operator.kube.access import Access, AccessError
from fedward_operator.kube.errors import ApiError, ExpiredError, UnavailableError, status_message
from fedward_operator.kube.kinds import SERVICE_ACCOUNT, Kind

_log = logging.getLogger(__name__)

Object = dict[str, Any]

_PAGE = 100
"""Objects a page: what is read at once is held in memory at once."""

_REQUEST_S = 30.0
_SILENCE_S = 90.0
"""A watch that says nothing for so long, not even a bookmark (the API server sends one a minute), is dead."""

_WATCH_S = 290
_AT_ONCE = 24
"""Requests under way at most: what a burst may ask of an API server that others need too."""

_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_LONGEST_EVENT = 8 << 20


class Meter(Protocol):
    """Told of every call that was answered, or not (code 0)."""

    def called(self, verb: str, code: int) -> None:
        """Count one."""
        ...


class Client:
    """Speaks to one API server; closes as a context manager."""

    def __init__(self, access: Access, manager: str, meter: Meter) -> None:
        """Make a client that applies as field manager `manager`; a proxy that stands on the way is honoured.

        Raises:
            AccessError: the token cannot be read, or the environment names a proxy that cannot be used.
        """
        self._access, self._manager, self._meter = access, manager, meter
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._token, self._proxy = access.bearer(), access.proxy()
        if self._proxy is not None:
            _log.info("%s is reached through the proxy %s", access.server, self._proxy.address)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=access.context, limit=0, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=_REQUEST_S),
            # Next to the API server, compressing costs more than it saves.
            headers={"User-Agent": manager, "Accept-Encoding": "identity"},
        )

    def take_token(self) -> None:
        """Show from now on the token that the access holds by now.

        Raises:
            AccessError: it cannot be read.
        """
        self._token = self._access.bearer()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object:
        """Read one object, whole.

        Raises:
            ApiError, UnavailableError.
        """
        return await self._send("get", "GET", kind.path(namespace, name))

    async def apply(
        self, kind: Kind, manifest: Mapping[str, Any], *, subresource: str = "", force: bool = True
    ) -> Object:
        """Make the object be as the manifest says, as far as it says.

        Args:
            kind: what it is.
            manifest: what is said; nothing else of the object is touched.
            subresource: write this part instead of the rest, such as `status`.
            force: take from others what they hold of that.

        Raises:
            ApiError: without `force` also when somebody else holds another value (409).
            UnavailableError.
        """
        metadata = manifest["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._send(
            *("apply", "PATCH", path),
            query={"fieldManager": self._manager, "force": "true" if force else "false"},
            body=manifest,
            content_type="application/apply-patch+yaml",
            accept=_METADATA if kind.metadata_only else None,
        )

    async def create(self, kind: Kind, manifest: Mapping[str, Any]) -> Object:
        """Create an object.

        Raises:
            ApiError: it exists already (409), ...
            UnavailableError.
        """
        path = kind.path(manifest["metadata"].get("namespace"))
        return await self._send("create", "POST", path, query={"fieldManager": self._manager}, body=manifest)

    async def token(self, namespace: str, account: str, seconds: int) -> str:
        """Ask for a token of a service account, good for about so many seconds.

        Raises:
            ApiError: there is no such account (404), ...
            UnavailableError.
        """
        path = SERVICE_ACCOUNT.path(namespace, account, "token")
        answer = await self._send("create", "POST", path, body={"spec": {"expirationSeconds": seconds}})
        token: str = answer["status"]["token"]
        return token

    async def replace(self, kind: Kind, manifest: Mapping[str, Any]) -> Object:
        """Replace the object of the manifest's resourceVersion.

        Raises:
            ApiError: it has changed since (409), ...
            UnavailableError.
        """
        metadata = manifest["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return await self._send("update", "PUT", path, query={"fieldManager": self._manager}, body=manifest)

    async def patch(self, kind: Kind, namespace: str | None, name: str, operations: list[Object]) -> Object:
        """Carry out JSON patch operations, all of them or none; a `test` among them fences.

        Raises:
            ApiError: a test failed (422), ...
            UnavailableError.
        """
        return await self._send(
            *("patch", "PATCH", kind.path(namespace, name)),
            query={"fieldManager": self._manager},
            body=operations,
            content_type="application/json-patch+json",
        )

    async def delete(
        self, kind: Kind, namespace: str | None, name: str, uid: str | None = None, *, last: bool = False
    ) -> None:
        """Delete an object and what it owns; nothing happens if it is gone, or another by then.

        Args:
            kind: its kind.
            namespace: its namespace, None for cluster-scoped kinds.
            name: its name.
            uid: which object of this name.
            last: whether it is there until all that it owns is gone.

        Raises:
            ApiError, UnavailableError.
        """
        options: Object = {"propagationPolicy": "Foreground" if last else "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self._send("delete", "DELETE", kind.path(namespace, name), body=options)
        except ApiError as error:
            if not (error.is_gone or error.is_conflict):
                raise

    async def pages(
        self, kind: Kind, namespace: str | None, selector: Mapping[str, str]
    ) -> AsyncIterator[tuple[list[Object], str]]:
        """Read every object, page by page, each page with the version of the whole list.

        Raises:
            ApiError: also when the list was forgotten between two pages (410).
            UnavailableError.
        """
        query = {"limit": str(_PAGE), **selector}
        accept = _METADATA_LIST if kind.metadata_only else None
        while True:
            page = await self._send("list", "GET", kind.path(namespace), query=query, accept=accept)
            yield page["items"] or [], page["metadata"]["resourceVersion"]
            following = page["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following

    async def watch(
        self, kind: Kind, namespace: str | None, selector: Mapping[str, str], version: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield what happens after `version`: ADDED, MODIFIED, DELETED or BOOKMARK and the object; ends now and then.

        Raises:
            ExpiredError: `version` is too long ago.
            ApiError, UnavailableError.
        """
        query = {
            **selector,
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(_WATCH_S),
        }
        url = self._url(kind.path(namespace), query)
        # `connect` bounds a proxy's answer too, which `sock_connect` does not.
        silence = aiohttp.ClientTimeout(total=None, connect=_REQUEST_S, sock_connect=_REQUEST_S, sock_read=_SILENCE_S)
        headers = self._headers(_METADATA if kind.metadata_only else None)
        with self._reaching("watch", kind.plural):
            async with self._session.get(url, timeout=silence, headers=headers, **self._way()) as answer:
                self._meter.called("watch", answer.status)
                if answer.status >= 400:
                    raise await self._error(answer)
                async for line in _lines(answer.content):
                    yield self._event(json.loads(line))

    def _event(self, event: Object) -> tuple[str, Object]:
        kind, item = event["type"], event["object"]
        if kind == "ERROR":
            if item.get("code") == 410:
                raise ExpiredError(item.get("message", ""))
            raise ApiError(item.get("code", 0), item.get("reason", ""), item.get("message", ""))
        return kind, item

    async def _send(
        self,
        verb: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        accept: str | None = None,
    ) -> Object:
        headers = self._headers(accept)
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = content_type
        url = self._url(path, query)
        async with self._gate:
            with self._reaching(verb, f"{verb} {path}"):
                async with self._session.request(method, url, data=data, headers=headers, **self._way()) as answer:
                    self._meter.called(verb, answer.status)
                    if answer.status >= 400:
                        raise await self._error(answer)
                    found: Object = json.loads(await answer.read())
                    return found

    @contextmanager
    def _reaching(self, verb: str, what: str) -> Iterator[None]:
        """Say of what goes wrong on the way what was wanted, and which way it was."""
        way = "" if self._proxy is None else f"through the proxy {self._proxy.address}: "
        try:
            yield
        except aiohttp.ClientHttpProxyError as error:
            self._meter.called(verb, 0)
            # Without its cause, which holds what the proxy was told: our password.
            raise UnavailableError(f"{what}: {way}it answered {error.status} {error.message}") from None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            self._meter.called(verb, 0)
            raise UnavailableError(f"{what}: {way}{type(error).__name__}: {error}") from error

    def _url(self, path: str, query: Mapping[str, str] | None) -> str:
        return f"{self._access.server}{path}{'?' + urlencode(query) if query else ''}"

    def _headers(self, accept: str | None) -> dict[str, str]:
        headers = {"Accept": accept or "application/json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers

    def _way(self) -> dict[str, Any]:
        way: dict[str, Any] = {"server_hostname": self._access.server_name} if self._access.server_name else {}
        if self._proxy is not None:
            # Not `proxy_auth`, which aiohttp's errors carry along.
            way |= {"proxy": self._proxy.address, "proxy_headers": self._proxy.headers}
        return way

    async def _error(self, answer: aiohttp.ClientResponse) -> ApiError:
        reason, message, wait = status_message(await answer.read())
        if answer.status == 401:
            try:
                self.take_token()
            except AccessError as error:
                message = f"{message} ({error})"
        header = answer.headers.get("Retry-After", "")
        retry_after = float(header) if header.isdigit() else wait
        return ApiError(answer.status, reason or answer.reason or "", message, retry_after)


async def _lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Split a stream into lines of any length up to the largest object there can be."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LONGEST_EVENT:
            raise ValueError(f"an event is longer than {_LONGEST_EVENT} bytes")
        for line in lines:
            if line:
                yield line
