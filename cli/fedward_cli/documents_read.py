"""A file's documents, each valid by itself; what is wrong names file, line and field."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from fedward_cli.complaints import explain
from fedward_cli.overrides import apply_overrides
from fedward_cli.problems import InputError, Problem
from fedward_cli.yaml_lines import Located, read_yaml
from fedward_operator.api import ConfigMap, FederatedJob, FederatedSite, SitePolicy

Document = FederatedJob | FederatedSite | SitePolicy | ConfigMap
_Kind = TypeVar("_Kind", bound=Document)
KINDS: dict[str, type[Document]] = {
    kind.__name__: kind for kind in (FederatedJob, FederatedSite, SitePolicy, ConfigMap)
}


@dataclass(slots=True)
class ReadDocument:
    """A document that is valid by itself, with its places."""

    document: Document
    located: Located


def read_file(file: Path, overrides: Sequence[str]) -> list[ReadDocument]:
    """Read and validate each document, with fields of the job's spec changed as the options say.

    Raises:
        InputError: with all that is wrong, in the file's order.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError([Problem(str(file), (), error.strerror or "cannot be read")]) from error
    except UnicodeDecodeError as error:
        raise InputError([Problem(str(file), (), "is not UTF-8 text")]) from error
    raw, problems = read_yaml(text, str(file))
    for located in raw:
        if isinstance(located.data, dict) and located.data.get("kind") == "FederatedJob":
            problems += apply_overrides(located, overrides)
    read: list[ReadDocument] = []
    for located in raw:
        document = _validate(located, problems)
        if document is not None:
            read.append(ReadDocument(document, located))
    if problems:
        raise InputError(in_order(problems))
    return read


def _validate(located: Located, problems: list[Problem]) -> Document | None:
    """Validate one document by its kind; what is wrong with it is added to `problems`."""
    data = located.data
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        problems.append(Problem(located.place(()), ("kind",), f"is required: one of {', '.join(KINDS)}"))
        return None
    kind = KINDS.get(data["kind"])
    if kind is None:
        close = get_close_matches(data["kind"], KINDS, n=1)
        hint = f', did you mean "{close[0]}"?' if close else f"; a local file holds {', '.join(KINDS)}"
        problems.append(Problem(located.place(("kind",)), ("kind",), f'unknown kind "{data["kind"]}"{hint}'))
        return None
    try:
        # By way of JSON and strictly, so that a value means here what it means to the API server.
        return kind.model_validate_json(json.dumps(data), strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        schema = kind.model_json_schema(by_alias=True)
        for details in error.errors(include_url=False):
            path, message = explain(details, data, schema)
            problems.append(Problem(located.place(path), path, message))
        return None


def of_kind(kind: type[_Kind], read: Sequence[ReadDocument]) -> list[tuple[_Kind, Located]]:
    """Pick the documents of a kind."""
    return [(each.document, each.located) for each in read if isinstance(each.document, kind)]


def duplicates(read: Sequence[ReadDocument]) -> Iterator[Problem]:
    """Say which documents have the name of an earlier one of their kind."""
    seen: dict[tuple[str, str], str] = {}
    for each in read:
        key = (each.document.kind, each.document.metadata.name)
        place = each.located.place(("metadata", "name"))
        if key in seen and each.document.kind != "FederatedJob":
            yield Problem(place, ("metadata", "name"), f'a second {key[0]} called "{key[1]}", first at {seen[key]}')
        seen.setdefault(key, place)


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Sort problems as their lines are in the file."""

    def key(problem: Problem) -> tuple[str, int]:
        file, _, line = problem.where.rpartition(":")
        return (file, int(line)) if line.isdigit() else (problem.where, 0)

    return sorted(problems, key=key)
