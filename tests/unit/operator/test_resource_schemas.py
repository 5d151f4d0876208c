"""What the generated CRDs will rest on: every field described, every string, list and map bounded, nothing unknown."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from fedward_operator.api import ConfigMap, FederatedJob, FederatedSite, SitePolicy
from fedward_operator.api.scalars import Duration, Quorum, parse_duration, share_of, show_duration

KINDS: tuple[type[BaseModel], ...] = (FederatedJob, FederatedSite, SitePolicy, ConfigMap)


def walk(part: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(part, dict):
        yield path, part
        for key, inner in part.items():
            yield from walk(inner, f"{path}/{key}")
    elif isinstance(part, list):
        for index, inner in enumerate(part):
            yield from walk(inner, f"{path}/{index}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_described(kind: type[BaseModel]) -> None:
    def described(field: dict[str, Any]) -> bool:
        return "description" in field or any("description" in option for option in field.get("anyOf", ()))

    undescribed = [
        f"{path}/properties/{name}"
        for path, part in walk(kind.model_json_schema(), kind.__name__)
        for name, field in (part.get("properties") or {}).items()
        if not described(field)
    ]

    assert undescribed == []


@pytest.mark.parametrize("kind", KINDS)
def test_every_string_list_and_map_is_bounded(kind: type[BaseModel]) -> None:
    bounds = {
        "string": ("maxLength", "pattern", "enum", "const"),
        "array": ("maxItems",),
        "object": ("maxProperties", "properties"),
    }
    unbounded = [
        path
        for path, part in walk(kind.model_json_schema(), kind.__name__)
        if isinstance(part.get("type"), str)
        and not path.endswith("/properties/args")  # a network's own arguments, which only MONAI can judge
        and part["type"] in bounds
        and not any(bound in part for bound in bounds[part["type"]])
    ]

    assert unbounded == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30m", 1800), ("60s", 60), ("1h30m", 5400), ("0s", 0), ("1.5s", 1.5), ("2h", 7200), ("90m", 5400)],
)
def test_a_duration_is_read_and_written_back_as_the_same_time(text: str, seconds: float) -> None:
    duration = TypeAdapter[timedelta](Duration).validate_python(text)

    assert duration.total_seconds() == seconds
    assert parse_duration(show_duration(duration)) == duration


@pytest.mark.parametrize("value", ["", "30", 30, 1.5, "5x", "m", "-5m", "5m ", "30m\n", "1:30", None, True, "10s5m"])
def test_what_is_no_duration_is_refused_with_an_example(value: Any) -> None:
    with pytest.raises(ValidationError, match='must be a duration such as "30m"'):
        TypeAdapter[timedelta](Duration).validate_python(value)


@pytest.mark.parametrize("value", ["0%", "101%", "75", "75.5%", 0, -1, True, 1.5, None, "75%\n"])
def test_what_is_no_quorum_is_refused_with_an_example(value: Any) -> None:
    with pytest.raises(ValidationError, match='or a share such as "75%"'):
        TypeAdapter[int | str](Quorum).validate_python(value)


@pytest.mark.parametrize(
    ("quorum", "sites", "expected"),
    [("75%", 4, 3), ("75%", 3, 3), ("50%", 3, 2), ("100%", 7, 7), ("1%", 13, 1), ("80%", 13, 11), (2, 5, 2)],
)
def test_a_share_of_sites_is_rounded_up(quorum: int | str, sites: int, expected: int) -> None:
    assert share_of(quorum, sites) == expected
