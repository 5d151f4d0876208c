"""A collection that changes, is forgotten and fails as a test says, and an informer that follows it."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager

from hand_loop import Meter

from fedward_operator.kube.cache import Cache
from fedward_operator.kube.errors import ExpiredError
from fedward_operator.kube.informer import Informer
from fedward_operator.kube.kinds import POD

WATCH_S, BOOKMARK_S = 290, 60


class Collection:
    """An API server's pods: every change has a version, and old ones can be forgotten."""

    def __init__(self, page=2):
        self.page, self.version, self.there, self.history, self.oldest = page, 10, {}, [], 0
        self.changed = asyncio.Event()
        self.calls = []
        self.fault = lambda verb: None
        self.expired, self.asked_for = ExpiredError("too old resource version"), set()
        self.before_page = None

    def put(self, *names):
        for name in names:
            self._happen("MODIFIED" if name in self.there else "ADDED", name)

    def delete(self, *names):
        for name in names:
            self._happen("DELETED", name)

    def forget(self):
        self.oldest = self.version

    def listed(self):
        return {name: item["metadata"]["resourceVersion"] for name, item in self.there.items()}

    def _happen(self, kind, name):
        self.version += 1
        item = {"metadata": {"namespace": "x", "name": name, "resourceVersion": str(self.version)}}
        if kind == "DELETED":
            del self.there[name]
        else:
            self.there[name] = item
        self.history.append((self.version, kind, item))
        self.changed.set()

    def _call(self, verb):
        self.calls.append((verb, asyncio.get_running_loop().time()))
        error = self.fault(verb)
        if error is not None:
            raise error

    async def pages(self, kind, namespace, selector):
        self.asked_for.add((kind, namespace, tuple(selector.items())))
        snapshot, version = list(self.there.values()), self.version
        for start in range(0, max(len(snapshot), 1), self.page):
            self._call("list")
            if self.before_page is not None:
                await self.before_page(start // self.page)
            yield snapshot[start : start + self.page], str(version)

    async def watch(self, kind, namespace, selector, version):
        self.asked_for.add((kind, namespace, tuple(selector.items())))
        loop = asyncio.get_running_loop()
        self._call("watch")
        reached, ends = int(version), loop.time() + WATCH_S
        while loop.time() < ends:
            error = self.fault("stream")
            if error is not None:
                raise error
            if reached < self.oldest:
                raise self.expired
            following = [event for event in self.history if event[0] > reached]
            for version_of_it, what, item in following:
                reached = version_of_it
                yield what, item
            self.changed.clear()
            try:
                async with asyncio.timeout(min(BOOKMARK_S, ends - loop.time())):
                    await self.changed.wait()
            except TimeoutError:
                yield "BOOKMARK", {"metadata": {"resourceVersion": str(reached)}}


class Following:
    """An informer at work, and what its cache told of."""

    def __init__(self, source):
        self.told, self.meter = [], Meter()
        self.cache = Cache(lambda item: item["metadata"]["resourceVersion"], lambda key, _: self.told.append(key[1]))
        self.informer = Informer(source, POD, self.cache, meter=self.meter, chance=random.Random(7))
        self.source = source

    def known(self):
        return {key[1]: self.cache.get(key) for key in self.cache}

    def agrees(self):
        return self.known() == self.source.listed()


@asynccontextmanager
async def following(source):
    found = Following(source)
    task = asyncio.create_task(found.informer.run())
    try:
        yield found
        assert not task.done(), "an informer never ends"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def during(began, ended, error):
    """A fault that lasts from one time to another."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    return lambda _: error if began <= loop.time() - start < ended else None
