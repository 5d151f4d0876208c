"""The latest of each object, whatever order it is heard in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedward_operator.kube.cache import Cache


def thing(name, version, family=None, namespace="research"):
    return {
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": str(version)},
        "family": family,
    }


class Told:
    """A cache of families, and the keys that it told of."""

    def __init__(self):
        self.keys = []
        self.seen = {}
        self.cache = Cache(self._view, self._changed, lambda view: view[1])

    def _view(self, item):
        if item["family"] == "unreadable":
            raise OverflowError(item)
        return item["metadata"]["resourceVersion"], item["family"]

    def _changed(self, key, view):
        self.keys.append(key)
        self.seen[key] = self.cache.get(key)


A, B = ("research", "a"), ("research", "b")


@pytest.fixture
def told():
    return Told()


def test_the_newer_version_wins_whatever_order_they_come_in(told):
    for version in (5, 9, 10, 7, 10):
        told.cache.put(thing("a", version))

    assert told.cache.get(A) == ("10", None)
    assert told.cache.version(A) == "10"
    assert told.keys == [A, A, A]


def test_what_is_dropped_is_gone_and_told_of_once(told):
    told.cache.put(thing("a", 1))
    told.keys.clear()

    told.cache.drop(A)
    told.cache.drop(A)

    assert (told.cache.get(A), told.cache.version(A), len(told.cache)) == (None, None, 0)
    assert told.keys == [A]


def test_what_comes_again_after_it_was_dropped_is_taken_in(told):
    told.cache.put(thing("a", 7))
    told.cache.drop(A)
    told.cache.put(thing("a", 9))

    assert told.cache.get(A) == ("9", None)


def test_keeping_only_some_tells_of_the_others(told):
    for name in "abc":
        told.cache.put(thing(name, 1))
    told.keys.clear()

    told.cache.keep_only([A, ("research", "new")])

    assert list(told.cache) == [A]
    assert sorted(told.keys) == [B, ("research", "c")]


def test_a_family_is_found_in_the_order_of_names_and_follows_a_change(told):
    for name, family in (("b", "x"), ("a", "x"), ("c", "y")):
        told.cache.put(thing(name, 1, family))

    assert told.cache.of("x") == [("1", "x"), ("1", "x")]
    told.cache.put(thing("b", 2, "y"))

    assert told.cache.of("x") == [("1", "x")]
    assert told.cache.of("y") == [("2", "y"), ("1", "y")]
    assert told.cache.of("z") == []


def test_what_has_no_namespace_has_a_key_too(told):
    told.cache.put({"metadata": {"name": "north", "resourceVersion": "1"}, "family": None})

    assert told.cache.get(("", "north")) == ("1", None)


def test_what_cannot_be_read_counts_as_gone_and_stops_nobody(told):
    told.cache.put(thing("a", 1, "x"))
    told.keys.clear()

    told.cache.put(thing("a", 2, "unreadable"))
    told.cache.put(thing("b", 3, "unreadable"))

    assert told.cache.values() == []
    assert told.cache.of("x") == []
    assert told.keys == [A]


def test_somebody_may_change_the_cache_while_going_over_it(told):
    for name in "abc":
        told.cache.put(thing(name, 1))
    for key in told.cache:
        told.cache.drop(key)

    assert len(told.cache) == 0


EVENTS = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.sampled_from(["x", "y", None, "deleted"]),
        st.sampled_from(["heard", "heard late", "missed"]),
    ),
    max_size=40,
)


@given(EVENTS)
def test_after_any_events_and_a_list_the_cache_is_the_list(events):
    told, there, late = Told(), {}, []
    for version, (name, family, fate) in enumerate(events, start=1):
        if family == "deleted":
            there.pop(name, None)
            if fate != "missed":
                told.cache.drop(("research", name))
            continue
        there[name] = thing(name, version, family)
        if fate == "heard":
            told.cache.put(there[name])
        elif fate == "heard late":
            late.append(there[name])
        if version % 3 == 0:
            while late:
                told.cache.put(late.pop())

    for item in there.values():
        told.cache.put(item)
    told.cache.keep_only(("research", name) for name in there)

    expected = {
        ("research", name): (item["metadata"]["resourceVersion"], item["family"]) for name, item in there.items()
    }
    assert {key: told.cache.get(key) for key in told.cache} == expected
    for family in "xy":
        assert told.cache.of(family) == [view for _, view in sorted(expected.items()) if view[1] == family]
    assert {key: view for key, view in told.seen.items() if view is not None} == expected
