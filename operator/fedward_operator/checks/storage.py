"""Whether there is a StorageClass for what has to be kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fedward_operator.checks.finding import Finding, Trouble, fine, wrong

ABOUT = "storage class"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def provided(classes: Sequence[Mapping[str, Any]], wanted: str | None, then: str) -> Finding:
    """Judge the StorageClasses of a cluster; `wanted` is the one that was named, if one was."""
    names = [each["metadata"]["name"] for each in classes]
    there = ", ".join(names) or "none"
    if wanted:
        if wanted in names:
            return fine(ABOUT, f"{wanted} is there")
        return wrong(ABOUT, Trouble.STORAGE_CLASS_MISSING, f"there is no {wanted}; there is {there}", then)
    for each in classes:
        if (each["metadata"].get("annotations") or {}).get(_DEFAULT) == "true":
            return fine(ABOUT, f"{each['metadata']['name']} is the default")
    said = f"none is the default, and none was named; there is {there}"
    return wrong(ABOUT, Trouble.STORAGE_CLASS_MISSING, said, then)
