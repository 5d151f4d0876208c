"""What every CustomResourceDefinition's schema must have, whatever the models say."""

from __future__ import annotations

import pytest

from fedward_operator.api.crds import KINDS, definition

BOUNDS = {"string": ("maxLength", "pattern", "enum"), "array": ("maxItems",), "object": ("maxProperties",)}


def fields(schema, path=""):
    yield path, schema
    for name, each in schema.get("properties", {}).items():
        yield from fields(each, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from fields(schema[inner], f"{path}[]")


def schema_of(kind):
    return definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_has_one_type_and_refers_to_nothing(kind):
    for path, schema in fields(schema_of(kind)):
        assert ("type" in schema) != bool(schema.get("x-kubernetes-int-or-string")), path
        assert not {"$ref", "anyOf", "oneOf", "title"} & schema.keys(), path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_field_is_described_for_kubectl_explain(kind):
    bare = [path for path, schema in fields(schema_of(kind)) if not path.endswith("[]") and "description" not in schema]
    assert not bare


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_list_string_and_map_is_bounded(kind):
    unbounded = [
        path
        for path, schema in fields(schema_of(kind))
        if schema.get("type") in BOUNDS
        and not any(bound in schema for bound in BOUNDS[schema["type"]])
        and not (schema["type"] == "object" and ("properties" in schema or "args" in path))
    ]
    assert not unbounded


def test_defaults_are_written_as_users_write_them():
    rounds = schema_of(KINDS[0])["properties"]["spec"]["properties"]["rounds"]["properties"]
    assert (rounds["deadline"]["default"], rounds["grace"]["default"]) == ("30m", "1m")


def test_a_union_says_which_fields_go_with_which_variant():
    rule = schema_of(KINDS[0])["properties"]["spec"]["properties"]["aggregation"]
    assert rule["properties"]["algorithm"]["enum"] == sorted(rule["properties"]["algorithm"]["enum"])
    rules = {each["message"] for each in rule["x-kubernetes-validations"]}
    assert {"byzantine goes with algorithm Krum only", "algorithm NormClippedMean needs maxNorm"} <= rules


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_no_default_holds_a_null_which_an_apply_would_be_refused_for(kind):
    defaults = {path: schema["default"] for path, schema in fields(schema_of(kind)) if "default" in schema}
    assert defaults
    assert not [path for path, default in defaults.items() if isinstance(default, dict) and None in default.values()]
