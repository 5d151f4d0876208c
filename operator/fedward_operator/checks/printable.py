"""What others wrote, fit for a terminal: a hospital's words must not move a researcher's cursor."""

from __future__ import annotations

import re
from typing import Any

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def printable(found: Any) -> Any:
    """Give an object of the cluster with a blank for each control character, in every text of it."""
    if isinstance(found, str):
        return _CONTROLS.sub(" ", found)
    if isinstance(found, dict):
        return {printable(name): printable(value) for name, value in found.items()}
    return [printable(each) for each in found] if isinstance(found, list) else found
