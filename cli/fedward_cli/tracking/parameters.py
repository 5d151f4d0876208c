"""A plan as the parameters of an experiment: one for each field, under the names that a job's file uses."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from fedward_protocol.plan import Plan

LONGEST_VALUE = 500
"""What every MLflow server takes; `plan.json` beside the parameters holds all of a longer one."""
_LONGEST_NAME = 250
_REFUSED = re.compile(r"[^A-Za-z0-9_. -]")
# Which job it is stands in the run's tags; a bundle's files are no parameters.
_LEFT_OUT = frozenset({"job", "federation"})


def parameters(plan: Plan) -> dict[str, str]:
    """Give each field of the plan that has a value, by its dotted name."""
    document = json.loads(plan.canonical())
    if plan.model.bundle is not None:
        document["model"]["bundle"] = sorted(plan.model.bundle.files)
    found: dict[str, str] = {}
    for field, value in document.items():
        if field not in _LEFT_OUT:
            found |= dict(_leaves(field, value))
    return found


def _leaves(name: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{name}.{key}", inner)
    elif value is not None and value != []:
        yield _REFUSED.sub("_", name)[:_LONGEST_NAME], _shown(value)


def _shown(value: JsonValue) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(each, str | int | float) for each in value):
        text = ", ".join(map(str, value))
    else:
        text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
