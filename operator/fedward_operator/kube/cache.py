"""What is known of one kind's objects: the latest of each, found by name or by what they belong to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, Generic, TypeVar

_log = logging.getLogger(__name__)

Object = dict[str, Any]
Key = tuple[str, str]
"""Namespace (empty for cluster-scoped kinds) and name."""

View = TypeVar("View")


def key_of(item: Object) -> Key:
    """Give an object's key."""
    metadata = item["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


class Cache(Generic[View]):
    """The latest view of every object; tells `changed` of whatever is new, different or gone."""

    def __init__(
        self,
        view: Callable[[Object], View],
        changed: Callable[[Key, View], None],
        belongs_to: Callable[[View], Hashable] = lambda _: None,
    ) -> None:
        """Make an empty cache.

        Args:
            view: keeps of an object what is looked at; the rest is forgotten, so that memory stays small.
            changed: told of an object's key and view, the last one when it is gone.
            belongs_to: what `of` finds it by.
        """
        self._view, self._changed, self._belongs_to = view, changed, belongs_to
        self._views: dict[Key, View] = {}
        self._versions: dict[Key, str] = {}
        self._families: dict[Hashable, set[Key]] = {}

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[Key]:
        return iter(tuple(self._views))

    def get(self, key: Key) -> View | None:
        """Return the view of an object, if there is one."""
        return self._views.get(key)

    def values(self) -> list[View]:
        """Return the view of every object."""
        return list(self._views.values())

    def of(self, family: Hashable) -> list[View]:
        """Return the views of what belongs to `family`, by name."""
        return [self._views[key] for key in sorted(self._families.get(family, ()))]

    def version(self, key: Key) -> str | None:
        """Return the resourceVersion that is known of an object."""
        return self._versions.get(key)

    def put(self, item: Object) -> None:
        """Take in an object as it is now."""
        key, version = key_of(item), item["metadata"]["resourceVersion"]
        known = self._versions.get(key)
        if known is not None and int(known) >= int(version):
            return  # heard of before: a list may be behind a watch
        try:
            view = self._view(item)
        except Exception as error:  # noqa: BLE001 others write these, and one of them must not stop the informer
            extra = {"key": "/".join(key), "error": repr(error)}
            _log.warning("an object cannot be read; it counts as not there", extra=extra)
            self.drop(key)
            return
        self._forget(key)
        self._views[key], self._versions[key] = view, version
        family = self._belongs_to(view)
        if family is not None:
            self._families.setdefault(family, set()).add(key)
        self._changed(key, view)

    def drop(self, key: Key) -> None:
        """Take in that an object is gone."""
        view = self._forget(key)
        if view is not None:
            self._changed(key, view)

    def keep_only(self, keys: Iterable[Key]) -> None:
        """Drop everything else: it went while nobody was looking."""
        for key in self._views.keys() - set(keys):
            self.drop(key)

    def _forget(self, key: Key) -> View | None:
        view = self._views.pop(key, None)
        self._versions.pop(key, None)
        if view is not None:
            family = self._belongs_to(view)
            members = self._families.get(family)
            if members is not None:
                members.discard(key)
                if not members:
                    del self._families[family]
        return view
