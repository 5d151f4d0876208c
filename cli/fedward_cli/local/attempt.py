"""Which attempt of which plan a run is: the first in a new folder, the next in one that holds the same plan."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedward_cli.local.folder import Folder
from fedward_cli.problems import InputError, Problem
from fedward_cli.results import AttemptNumber, Record, parse
from fedward_protocol.plan import Plan

if TYPE_CHECKING:  # who makes an attempt of a plan alone reads no documents
    from fedward_cli.documents import Documents

_MOST_DIFFERENCES = 10


@dataclass(frozen=True, slots=True)
class Attempt:
    """A plan, and how often it has been started in this folder, this time included."""

    plan: Plan
    number: int


class _Started(Record):
    """`attempt.json`: the last attempt that was started."""

    attempt: AttemptNumber


def begin(folder: Folder, documents: Documents, *, again: bool = True) -> Attempt:
    """Note the start of an attempt in the folder before anything starts, so that no two share a number.

    With `again` false, an attempt that was started before is returned as it is.

    Raises:
        InputError: the folder holds a run of another plan, or one whose plan or number cannot be read.
    """
    before = _read(folder)
    if before is None:
        attempt = Attempt(documents.plan(str(uuid.uuid4())), 1)
        _replace(folder.plan, attempt.plan.canonical())
    else:
        attempt = Attempt(documents.plan(before.plan.job.uid), before.number + (1 if again else 0))
        different = differences(before.plan, attempt.plan)
        if different:
            where = f"{folder.out}"
            hint = "holds a run of another plan; choose another --out, or change back"
            raise InputError([Problem(where, (), hint), *(Problem(where, (), each) for each in different)])
    _replace(folder.attempt, _Started(attempt=attempt.number).model_dump_json().encode())
    return attempt


def differences(before: Plan, after: Plan) -> list[str]:
    """Say which of a plan's fields differ, as `rounds.count: 6 there, 5 now`; the first few of them."""
    old, new = (_leaves("", json.loads(plan.canonical())) for plan in (before, after))
    found = [
        f"{name}: {_shown(old.get(name))} there, {_shown(new.get(name))} now"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
    more = len(found) - _MOST_DIFFERENCES
    return [*found[:_MOST_DIFFERENCES], f"and {more} more"] if more > 0 else found


def _read(folder: Folder) -> Attempt | None:
    if not folder.plan.exists():
        return None
    started = parse(_Started, folder.attempt.read_bytes(), str(folder.attempt)) if folder.attempt.exists() else None
    return Attempt(folder.read_plan(), started.attempt if started else 0)


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".tmp")
    partial.write_bytes(content)
    partial.replace(path)


def _leaves(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {name: value}
    found: dict[str, Any] = {}
    for key, inner in value.items():
        found |= _leaves(f"{name}.{key}" if name else key, inner)
    return found


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
