"""Keeps a cache as the API server's: lists in pages, watches, and after any gap compares; it never gives up."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol

from fedward_operator.kube.backoff import Backoff
from fedward_operator.kube.cache import Cache, Key, Object, key_of
from fedward_operator.kube.errors import ApiError, ExpiredError, UnavailableError
from fedward_operator.kube.kinds import Kind

_log = logging.getLogger(__name__)

_BACKOFF = Backoff(first=0.25, cap=15.0)

LONGEST_TURN_S = 150.0
"""A healthy informer hears something, or tries again, more often than this: a watch's silence plus the longest wait."""


class Source(Protocol):
    """Whatever lists and watches; `kube.client.Client` does."""

    def pages(
        self, kind: Kind, namespace: str | None, selector: Mapping[str, str]
    ) -> AsyncIterator[tuple[list[Object], str]]:
        """Read every object, page by page, each with the list's version."""
        ...

    def watch(
        self, kind: Kind, namespace: str | None, selector: Mapping[str, str], version: str
    ) -> AsyncIterator[tuple[str, Object]]:
        """Yield what happens after `version`."""
        ...


class Watched(Protocol):
    """Told of each watch that had to be begun again, and why."""

    def restarted(self, plural: str, cause: str) -> None:
        """Count one."""
        ...


class Informer:
    """Fills one cache from one collection."""

    def __init__(
        self,
        source: Source,
        kind: Kind,
        cache: Cache[Any],
        *,
        meter: Watched,
        chance: random.Random,
        namespace: str | None = None,
        selector: Mapping[str, str] | None = None,
    ) -> None:
        self.kind, self.cache = kind, cache
        self._source, self._meter, self._chance = source, meter, chance
        self._namespace, self._selector = namespace, selector or {}
        self.synced = asyncio.Event()
        self.last_turn = time.monotonic()
        self._failures = 0

    async def run(self) -> None:
        """Follow the collection until cancelled."""
        version: str | None = None
        while True:
            self._turn()
            try:
                if version is None:
                    version = await self._list()
                heard = False
                async for kind, item in self._source.watch(self.kind, self._namespace, self._selector, version):
                    self._turn()
                    heard, self._failures = True, 0
                    version = item["metadata"]["resourceVersion"]
                    self._take_in(kind, item)
                # Ends by itself every few minutes; the next one goes on at the version reached.
                if not heard:
                    raise UnavailableError("the watch ended without a word")
            except (ApiError, ExpiredError, UnavailableError) as error:
                if isinstance(error, ExpiredError) or (isinstance(error, ApiError) and error.code == 410):
                    version = None
                await self._pause(error)

    async def _list(self) -> str:
        keys: set[Key] = set()
        listed = ""
        async for items, version in self._source.pages(self.kind, self._namespace, self._selector):
            self._turn()
            listed = version
            for item in items:
                keys.add(key_of(item))
                self.cache.put(item)
        self.cache.keep_only(keys)
        self.synced.set()
        return listed

    def _take_in(self, kind: str, item: Object) -> None:
        if kind == "DELETED":
            self.cache.drop(key_of(item))
        elif kind != "BOOKMARK":
            self.cache.put(item)

    async def _pause(self, error: ApiError | ExpiredError | UnavailableError) -> None:
        self._failures += 1
        self._meter.restarted(self.kind.plural, _cause(error))
        wait = _BACKOFF.after(self._failures, self._chance)
        if isinstance(error, ApiError) and error.retry_after_s is not None:
            wait = max(wait, min(error.retry_after_s, _BACKOFF.cap))
        if self._failures == 1 or self._failures % 20 == 0:
            _log.warning("cannot watch", extra={"kind": self.kind.plural, "error": str(error), "tries": self._failures})
        await asyncio.sleep(wait)

    def _turn(self) -> None:
        self.last_turn = time.monotonic()


def _cause(error: ApiError | ExpiredError | UnavailableError) -> str:
    if isinstance(error, ApiError):
        return str(error.code)
    return "expired" if isinstance(error, ExpiredError) else "unavailable"
