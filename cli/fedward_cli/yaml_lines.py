"""Multi-document YAML as plain data that remembers the line each field stood on.

Scalars follow YAML 1.2's core schema: `1e-4` is a number, and `no` and `12:30` are text, where PyYAML by itself reads
text, false and 750.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from fedward_cli.problems import Problem
from fedward_operator.hub.findings import FieldPath

_TAG = "tag:yaml.org,2002:"
_CORE: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
)
_MOST_NODES = 200_000
"""Far above any file that people write; what aliases of aliases grow to is stopped here."""


class _CoreLoader(yaml.SafeLoader):
    """Resolves plain scalars by the table above alone."""


_CoreLoader.yaml_implicit_resolvers = {}

for _name, _pattern, _first in _CORE:
    _CoreLoader.add_implicit_resolver(
        _TAG + _name, re.compile(f"^(?:{_pattern})$"), [*_first, ""] if _name == "null" else list(_first)
    )


@dataclass(slots=True)
class Located:
    """A document's data, and for each path in it the place it was written at (`file:line`)."""

    data: Any
    places: dict[FieldPath, str] = field(default_factory=dict)

    def place(self, path: FieldPath) -> str:
        """Return the place of a field, or of the nearest one around it."""
        while path not in self.places:
            path = path[:-1]
        return self.places[path]


def read_yaml(text: str, file: str) -> tuple[list[Located], list[Problem]]:
    """Read every document that is not empty, and say what could not be read."""
    reader = _Reader(file)
    documents: list[Located] = []
    try:
        for node in yaml.compose_all(text, Loader=_CoreLoader):
            document = Located(None, {(): reader.place(node)})
            document.data = reader.convert(node, (), document.places)
            if document.data is not None:
                documents.append(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        message = " ".join(part for part in (error.context, error.problem) if part)
        reader.problems.append(Problem(where, (), f"is not YAML: {message}"))
    except yaml.YAMLError as error:
        reader.problems.append(Problem(file, (), f"is not YAML: {str(error).splitlines()[0]}"))
    return documents, reader.problems


def read_value(text: str) -> Any:
    """Read one value, as a field's value in a file would be read.

    Raises:
        ValueError: it is not YAML.
    """
    documents, problems = read_yaml(text, "value")
    if problems or len(documents) > 1:
        raise ValueError(problems[0].message if problems else "holds more than one value")
    return documents[0].data if documents else None


class _Reader:
    """Turns composed nodes into data; what it objects to gathers in `problems`."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._nodes = 0
        self._open: set[int] = set()
        self.problems: list[Problem] = []

    def place(self, node: yaml.Node) -> str:
        """Return where a node starts."""
        return f"{self._file}:{node.start_mark.line + 1}"

    def convert(self, node: yaml.Node, path: FieldPath, places: dict[FieldPath, str]) -> Any:
        """Return the node's data, and note where each field in it stands."""
        self._nodes += 1
        if self._nodes > _MOST_NODES or id(node) in self._open:
            raise yaml.MarkedYAMLError(problem="aliases make it endless or too large", problem_mark=node.start_mark)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return {
                    key: self.convert(value, (*path, key), places) for key, value in self._fields(node, path, places)
                }
            if isinstance(node, yaml.SequenceNode):
                places.update({(*path, index): self.place(item) for index, item in enumerate(node.value)})
                return [self.convert(item, (*path, index), places) for index, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(id(node))

    def _fields(
        self, node: yaml.MappingNode, path: FieldPath, places: dict[FieldPath, str]
    ) -> Iterator[tuple[str, yaml.Node]]:
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(Problem(self.place(key), path, "a key must be text"))
                continue
            name, line = str(key.value), key.start_mark.line + 1
            if name in lines:
                message = f"duplicate key, first on line {lines[name]}"
                self.problems.append(Problem(self.place(key), (*path, name), message))
                continue
            lines[name] = line
            places[*path, name] = self.place(key)
            yield name, value

    def _scalar(self, node: yaml.Node, path: FieldPath) -> Any:
        text: str = node.value
        match node.tag.removeprefix(_TAG):
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" if len(text) <= 100:
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            case "float" | "int":
                return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
            case "str":
                return text
        self.problems.append(Problem(self.place(node), path, f"the tag {node.tag} is not understood"))
        return None
