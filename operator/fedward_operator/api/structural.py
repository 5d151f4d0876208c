"""A model's JSON Schema made structural, as Kubernetes' CustomResourceDefinitions want it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, TypeAdapter

from fedward_operator.api.scalars import show_duration

Schema = dict[str, Any]

_KEPT = (
    *("type", "description", "default", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems"),
    *("minProperties", "maxProperties", "minimum", "maximum", "required"),
    *("x-kubernetes-list-type", "x-kubernetes-list-map-keys"),
)
"""What means the same in JSON Schema and in a CRD. Unknown fields are pruned or refused by the API server itself."""

_ISO = re.compile(r"P[T0-9]")
_ISO_DURATION: TypeAdapter[timedelta] = TypeAdapter(timedelta)


def structural(model: type[BaseModel]) -> Schema:
    """Make the structural schema of a model: nothing is referred to, nothing is null, a union is one closed object.

    A union that is told apart by a field becomes an object with every variant's fields, and CEL rules that say which of
    them go with which variant. Where variants bound a field differently, only the operator checks its bounds.
    """
    document = model.model_json_schema(by_alias=True)
    return _converted(document, document.get("$defs", {}))


def _converted(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    schema = _resolved(schema, definitions)
    if schema.get("x-int-or-string"):
        # A pattern binds text alone and a minimum numbers alone, so both may stand side by side.
        bounds = {key: value for each in schema["anyOf"] for key, value in each.items() if key != "type"}
        return {**_kept(schema), **bounds, "x-kubernetes-int-or-string": True}
    if "discriminator" in schema:
        return {**_kept(schema), **_united(schema, definitions)}
    converted = _kept(schema)
    if "const" in schema:
        converted["enum"] = [schema["const"]]
    for bound in ("minimum", "maximum"):
        exclusive = f"exclusive{bound.capitalize()}"
        if exclusive in schema:
            converted |= {bound: schema[exclusive], exclusive: True}
    if "properties" in schema:
        converted["properties"] = {name: _converted(each, definitions) for name, each in schema["properties"].items()}
    elif schema.get("type") == "object":
        values = schema.get("additionalProperties", True)
        if isinstance(values, dict) and _resolved(values, definitions):
            converted["additionalProperties"] = _converted(values, definitions)
        else:
            converted["x-kubernetes-preserve-unknown-fields"] = True
    items = schema.get("items") or (schema.get("prefixItems") or [None])[0]
    if items is not None:
        converted["items"] = _converted(items, definitions)
    return converted


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """Follow references, and take "or null" away: in Kubernetes what is not there is left out."""
    own = dict(schema)
    if "$ref" in own:
        target = definitions[own.pop("$ref").removeprefix("#/$defs/")]
        return {**_resolved(target, definitions), **own}
    choices = [each for each in own.get("anyOf", ()) if each.get("type") != "null"]
    if len(choices) == 1:
        del own["anyOf"]
        if own.get("default", 0) is None:
            del own["default"]
        return {**_resolved(choices[0], definitions), **own}
    return own


def _kept(schema: Mapping[str, Any]) -> Schema:
    kept = {name: schema[name] for name in _KEPT if name in schema}
    default = kept.get("default")
    if schema.get("type") == "string" and isinstance(default, str) and _ISO.match(default):
        kept["default"] = show_duration(_ISO_DURATION.validate_python(default))
    if "default" in kept:
        kept["default"] = _without_nulls(kept["default"])
        if kept["default"] is None:
            del kept["default"]
    return kept


def _without_nulls(value: Any) -> Any:
    # An API server that is asked to apply, rather than to create, takes a null for a value.
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    return value


def _united(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    tag = schema["discriminator"]["propertyName"]
    variants = {
        name: _converted({"$ref": reference}, definitions)
        for name, reference in schema["discriminator"]["mapping"].items()
    }
    properties: Schema = {tag: {"type": "string", "enum": sorted(variants), "description": "Which of them"}}
    for variant in variants.values():
        for name, each in variant["properties"].items():
            if name == tag:
                continue
            # A default would be filled in for the other variants too.
            bounded = {key: value for key, value in each.items() if key != "default"}
            known = properties.setdefault(name, bounded)
            properties[name] = {key: value for key, value in known.items() if key in bounded and key != "description"}
            properties[name] |= {"description": known["description"]}
            for key in [key for key, value in properties[name].items() if bounded[key] != value]:
                if key not in ("type", "description"):
                    del properties[name][key]
    return {
        "type": "object",
        "properties": properties,
        "required": [tag],
        "x-kubernetes-validations": list(_variant_rules(tag, variants)),
    }


def _variant_rules(tag: str, variants: Mapping[str, Schema]) -> Iterator[Schema]:
    names = sorted({name for variant in variants.values() for name in variant["properties"]} - {tag})
    for name in names:
        users = sorted(each for each, variant in variants.items() if name in variant["properties"])
        if len(users) < len(variants):
            yield {
                "rule": f"!has(self.{name}) || self.{tag} in {users}",
                "message": f"{name} goes with {tag} {' or '.join(users)} only",
            }
        needing = sorted(each for each in users if name in variants[each].get("required", ()))
        if needing:
            yield {
                "rule": f"has(self.{name}) || !(self.{tag} in {needing})",
                "message": f"{tag} {' and '.join(needing)} needs {name}",
            }
