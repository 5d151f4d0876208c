"""Pydantic's errors in a user's words: the field's path as written, and a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

from fedward_operator.hub.findings import FieldPath, show_path

_NEEDED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": ("more than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_WORDING = {
    r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$": "must be lower-case letters, digits and hyphens, 63 at most",
    r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$": "must be lower-case letters, digits, hyphens and dots",
    r"^[-._A-Za-z0-9]{1,253}$": "must be a file name of letters, digits, '-', '_' and '.'",
}


def explain(error: ErrorDetails, data: Any, schema: dict[str, Any]) -> tuple[FieldPath, str]:
    """Return the path and the message for one error of pydantic's.

    Args:
        error: as `ValidationError.errors()` gives it.
        data: the document that was validated.
        schema: the JSON schema of its model, in which close names are looked for.
    """
    kind = error["type"]
    path = _written_path(error, data)
    if kind == "extra_forbidden":
        return path, _unknown_field(path, data, schema)
    if kind == "missing":
        return path, "is required" if isinstance(path[-1], str) else "is missing: the list is too short"
    if kind == "union_tag_invalid":
        path = (*path, error["ctx"]["discriminator"].strip("'"))
    if kind in _NEEDED:
        return path, f"must be {_NEEDED[kind]}, not {_shown(error['input'])}"
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        return path, f"must be {word} {error['ctx'][key]}, not {_shown(error['input'])}"
    return path, _particular(error)


def _particular(error: ErrorDetails) -> str:
    context = error.get("ctx", {})
    match error["type"]:
        case "literal_error":
            return _choice(error["input"], str(context["expected"]))
        case "union_tag_invalid":
            return _choice(context["tag"], str(context["expected_tags"]))
        case "union_tag_not_found":
            return f"needs {str(context['discriminator']).replace(chr(39), chr(34))}"
        case "string_pattern_mismatch":
            wording = _WORDING.get(context["pattern"], f"must match {context['pattern']}")
            return f"{wording}, not {_shown(error['input'])}"
        case "too_long" | "string_too_long":
            return f"is too long: {context['max_length']} at most"
        case "too_short" | "string_too_short":
            return f"is too short: {context['min_length']} at least"
        case "value_error":
            return str(context["error"])
    return error["msg"]


def _choice(value: Any, expected: str) -> str:
    options = [option.strip(" '\"") for option in expected.replace(" or ", ", ").split(",")]
    if len(options) == 1:
        return f'must be "{options[0]}", not {_shown(value)}{_suggest(value, options)}'
    return f"must be one of {', '.join(options)}, not {_shown(value)}{_suggest(value, options)}"


def _suggest(value: Any, options: Iterable[str]) -> str:
    by_lower = {option.lower(): option for option in options}
    close = get_close_matches(str(value).replace("_", "").lower(), by_lower, n=1, cutoff=0.6)
    return f', did you mean "{by_lower[close[0]]}"?' if close else ""


def _shown(value: Any) -> str:
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return f'"{value}"' if len(value) <= 80 else f'"{value[:77]}..."'
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _written_path(error: ErrorDetails, data: Any) -> FieldPath:
    """Drop from the error's location what is pydantic's own: the tags of unions and the marks on keys."""
    path: list[str | int] = []
    location = error["loc"]
    for index, part in enumerate(location):
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            path.append(part)
            data = data[part]
        elif error["type"] == "missing" and index == len(location) - 1:
            path.append(part)
    return tuple(path)


def _unknown_field(path: FieldPath, data: Any, schema: dict[str, Any]) -> str:
    name = str(path[-1])
    around = _fields_at(path[:-1], data, schema)
    suggestion = _suggest(name, around)
    if suggestion:
        return f"unknown field{suggestion}"
    elsewhere = [show_path(found) for found in _paths_of(name, schema, schema, ()) if found != path]
    if elsewhere:
        return f"unknown field, did you mean {elsewhere[0]}?"
    return f"unknown field; known here: {', '.join(sorted(around))}" if around else "unknown field"


def _fields_at(path: FieldPath, data: Any, schema: dict[str, Any]) -> list[str]:
    """Return the fields that the schema knows at a path, choosing among a union's members as the data does."""
    at = _settled(schema, data, schema)
    for part in path:
        data = data[part]
        inner = at.get("items", {}) if isinstance(part, int) else at.get("properties", {}).get(part, {})
        at = _settled(inner, data, schema)
    return list(at.get("properties", {}))


def _settled(part: dict[str, Any], data: Any, schema: dict[str, Any]) -> dict[str, Any]:
    while True:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rsplit("/", 1)[-1]]
        elif "discriminator" in part and isinstance(data, dict):
            tag = data.get(part["discriminator"]["propertyName"])
            reference = part["discriminator"]["mapping"].get(tag)
            part = {"$ref": reference} if reference else {}
        elif "anyOf" in part:
            part = next((option for option in part["anyOf"] if option.get("type") != "null"), {})
        else:
            return part


def _paths_of(name: str, part: dict[str, Any], schema: dict[str, Any], at: FieldPath) -> list[FieldPath]:
    """Return every path of a schema that ends in `name`, through mappings only."""
    found: list[FieldPath] = []
    for field, inner in _settled(part, None, schema).get("properties", {}).items():
        if field == name:
            found.append((*at, field))
        found += _paths_of(name, inner, schema, (*at, field))
    return found
