"""`--set rounds.count=5`: fields of the job's spec changed on the command line, before anything is validated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from fedward_cli.problems import Problem
from fedward_cli.yaml_lines import Located, read_value
from fedward_operator.hub.findings import FieldPath

_STEP = re.compile(r"\.?([A-Za-z][A-Za-z0-9]*)|\[([0-9]{1,4})\]")


def apply_overrides(document: Located, overrides: Sequence[str]) -> list[Problem]:
    """Change the document in place as the options say; its places then name the option, so errors do too."""
    problems: list[Problem] = []
    for text in overrides:
        place = f"--set {text}"
        name, separator, value = text.partition("=")
        path = _parse_path(name)
        if not separator or path is None:
            problems.append(Problem(place, (), 'must look like "rounds.count=5"'))
            continue
        try:
            parsed = read_value(value)
        except ValueError as error:
            problems.append(Problem(place, path, str(error)))
            continue
        message = _put(document.data, path, parsed)
        if message:
            problems.append(Problem(place, path, message))
        else:
            _move(document.places, path, place)
    return problems


def _parse_path(name: str) -> FieldPath | None:
    path: list[str | int] = ["spec"]
    position = 0
    while position < len(name):
        match = _STEP.match(name, position)
        if match is None or (position == 0 and match[2]):
            return None
        path.append(match[1] or int(match[2]))
        position = match.end()
    return tuple(path) if len(path) > 1 else None


def _put(data: Any, path: FieldPath, value: Any) -> str:
    """Set the field, making the mappings on the way to it; return what stands in the way, if anything does."""
    for part, after in pairwise(path):
        if isinstance(part, str) and isinstance(data, dict) and (part not in data or data[part] is None):
            data[part] = [] if isinstance(after, int) else {}
        data = _inside(data, part)
        if data is None:
            break
    last = path[-1]
    if isinstance(data, dict) and isinstance(last, str):
        data[last] = value
        return ""
    if isinstance(data, list) and isinstance(last, int) and last <= len(data):
        data[last : last + 1] = [value]
        return ""
    return "there is nothing to set there"


def _inside(data: Any, part: str | int) -> Any:
    if isinstance(data, dict):
        return data.get(part)
    if isinstance(data, list) and isinstance(part, int) and part < len(data):
        return data[part]
    return None


def _move(places: dict[FieldPath, str], path: FieldPath, place: str) -> None:
    """Let a field, and everything that stood inside it, be found at the option."""
    for inner in [known for known in places if known[: len(path)] == path]:
        del places[inner]
    places[path] = place
