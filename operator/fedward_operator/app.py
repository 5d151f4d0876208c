"""Where Kopf is: it runs the process, watches our own kinds in our own cluster, and hands each event on."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import aiohttp
import kopf

from fedward_operator.kube.access import Access
from fedward_operator.kube.backoff import Backoff
from fedward_operator.kube.cache import Cache, Key, Object, key_of
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.kube.informer import Source
from fedward_operator.kube.kinds import Kind

_log = logging.getLogger(__name__)

RESYNC_S = 60.0
_AGAIN_S = 2.0
_DEAF_S = 20.0
"""Kopf has to have told of a change within this time after a list showed it; otherwise it does not hear any more."""


class Endless:
    """Waits before repetitions, without end: Kopf's own end after a minute, and its watcher with them."""

    def __iter__(self) -> Iterator[float]:
        """Begin anew."""
        backoff, chance = Backoff(first=0.25, cap=15.0), random.Random()  # noqa: S311
        failures = 0
        while True:
            failures += 1
            yield backoff.after(failures, chance)


class OwnKinds:
    """Fills caches from Kopf's events; lists now and then, to find what was missed, and whether Kopf still hears."""

    def __init__(
        self,
        source: Source,
        caches: Mapping[Kind, Cache[Any]],
        namespace: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source, self._caches, self._namespace, self._clock = source, caches, namespace, clock
        self.synced = asyncio.Event()
        self._deaf_since: float | None = None
        self._told: dict[tuple[Kind, Key], int] = {}

    def registry(self) -> kopf.OperatorRegistry:
        """Make Kopf's handlers: one for the events of each kind, nothing that keeps state."""
        registry = kopf.OperatorRegistry()
        for kind in self._caches:
            self._handle(registry, kind)
        return registry

    def is_deaf(self) -> bool:
        """Tell whether changes have been found by listing that Kopf did not tell of, for too long."""
        return self._deaf_since is not None and self._clock() - self._deaf_since > _DEAF_S

    def take_in(self, kind: Kind, event: str | None, item: Object) -> None:
        """Take in one of Kopf's events."""
        key = key_of(item)
        if event == "DELETED":
            self._told.pop((kind, key), None)
            self._caches[kind].drop(key)
        else:
            self._told[kind, key] = int(item["metadata"]["resourceVersion"])
            self._caches[kind].put(item)

    async def resync(self) -> None:
        """List every kind and compare, for ever."""
        while True:
            try:
                await self.compare()
            except (ApiError, UnavailableError) as error:
                _log.warning("cannot list our own kinds", extra={"error": str(error)})
                await asyncio.sleep(_AGAIN_S)
                continue
            await asyncio.sleep(RESYNC_S if self._deaf_since is None else _DEAF_S / 2)

    async def compare(self) -> None:
        """List every kind, take in what was missed, and remember since when Kopf has not told of it.

        Raises:
            ApiError, UnavailableError.
        """
        late = [await self._compare(kind) for kind in self._caches]
        if not (self.synced.is_set() and any(late)):
            self._deaf_since = None
        elif self._deaf_since is None:
            self._deaf_since = self._clock()
        self.synced.set()

    async def _compare(self, kind: Kind) -> bool:
        """List one kind; tell whether Kopf is behind on something."""
        cache = self._caches[kind]
        before = {key: cache.version(key) for key in cache}
        keys: set[Key] = set()
        late = False
        async for items, _ in self._source.pages(kind, self._namespace if kind.namespaced else None, {}):
            for item in items:
                key = key_of(item)
                keys.add(key)
                late |= int(item["metadata"]["resourceVersion"]) > self._told.get((kind, key), 0)
                cache.put(item)
        for key in before.keys() - keys:
            late = True
            cache.drop(key)
            self._told.pop((kind, key), None)
        return late

    def _handle(self, registry: kopf.OperatorRegistry, kind: Kind) -> None:
        async def event(event: Mapping[str, Any], **_: Any) -> None:
            self.take_in(kind, event["type"], dict(event["object"]))

        kopf.on.event(kind.group, kind.version, kind.plural, id="event", registry=registry)(event)


async def run(own: OwnKinds, access: Access, namespace: str | None, stop: asyncio.Event) -> None:
    """Let Kopf watch until told to stop."""
    registry = own.registry()

    async def login(**_: Any) -> kopf.AiohttpSession:
        bearer = access.bearer()
        # Asked again after each 401: a token that was rotated is read anew.
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=access.context),
            headers={"Authorization": f"Bearer {bearer}"} if bearer else {},
            trust_env=True,
        )
        return kopf.AiohttpSession(server=access.server, aiohttp_session=session)

    logging.getLogger("kopf.objects").addFilter(_name_object)
    kopf.on.login(registry=registry, id="login")(login)
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.networking.error_backoffs = Endless()
    settings.watching.server_timeout = 290
    settings.watching.inactivity_timeout = 90
    settings.queueing.idle_timeout = 0.1
    await kopf.operator(
        registry=registry,
        settings=settings,
        standalone=True,
        clusterwide=namespace is None,
        namespaces=[namespace] if namespace else [],
        stop_flag=stop,
    )
    stop.set()  # Kopf takes the process's signals, and ends by itself at one


def _name_object(record: logging.LogRecord) -> bool:
    """Leave of what Kopf hangs on a log record the object's name: the rest is its settings, and pages long."""
    about = record.__dict__.pop("k8s_ref", None)
    for name in ("k8s_skip", "settings"):
        record.__dict__.pop(name, None)
    if about:
        record.object = "/".join(filter(None, (about.get("kind"), about.get("namespace"), about.get("name"))))
    return True
