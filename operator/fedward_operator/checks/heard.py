"""Whether the hub hears the hospital, by the hub's own word, and whether they are of versions that go together."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fedward_operator.checks.connection import Answer
from fedward_operator.checks.finding import Finding, Level, Trouble, fine, skipped, warning
from fedward_operator.policy.conditions import find

ABOUT = "heard by the hub"
VERSIONS = "versions"


def by_hub(answer: Answer, ours: str, then: str) -> Iterator[Finding]:
    """Judge the hub's answer to a site that asks for its own FederatedSite."""
    if answer.status != 200:
        why = "the hub does not accept the token" if answer.status == 401 else "a hub of an older version does not tell"
        yield from (skipped(about, why) for about in (ABOUT, VERSIONS))
        return
    try:
        site = json.loads(answer.body)
    except ValueError:
        yield from (skipped(about, "what answers in the hub's place is no API server") for about in (ABOUT, VERSIONS))
        return
    yield replace(connected(site, then), about=ABOUT)
    yield compatible(VERSIONS, ours, (site.get("status") or {}).get("hubVersion", ""), "helm list --all-namespaces")


def connected(site: Mapping[str, Any], then: str) -> Finding:
    """Judge a FederatedSite."""
    about = f"site {site['metadata']['name']}"
    said = find((site.get("status") or {}).get("conditions") or (), "Connected")
    if said is None:
        return skipped(about, "the hub's operator has not looked at it yet")
    if said["status"] == "True":
        return fine(about, "the hub hears it")
    last = site["status"].get("lastSeen")
    words = f"{said.get('message', '')}{f', last at {last}' if last else ''}"
    # Somebody wanted that, or it is not so far yet.
    level = Level.WARNING if said["reason"] in ("Revoked", "NeverHeard") else Level.WRONG
    return Finding(about, level, words, said["reason"], then)


def compatible(about: str, ours: str, theirs: str, then: str) -> Finding:
    """Compare two versions: both ends speak this protocol version and the one before, so one release apart is fine."""
    if not theirs:
        return skipped(about, "the other end has not said which it is of")
    if ours == theirs:
        return fine(about, f"both ends are of {ours}")
    said = f"this end is of {ours}, the other of {theirs}"
    if abs(_release(ours) - _release(theirs)) <= 1 and _major(ours) == _major(theirs):
        return fine(about, said)
    return warning(about, Trouble.VERSION_SKEW, f"{said}; more than one release apart they may not go together", then)


def _major(version: str) -> str:
    return version.partition(".")[0]


def _release(version: str) -> int:
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else 0
