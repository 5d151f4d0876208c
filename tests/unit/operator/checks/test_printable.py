"""What others wrote can move no cursor, however deep in an object of the cluster it lies."""

from __future__ import annotations

import pytest

from fedward_operator.checks.finding import wrong
from fedward_operator.checks.printable import printable
from fedward_operator.checks.writing import write


@pytest.mark.parametrize("control", ["\r", "\n", "\t", "\x00", "\x1b", "\x7f", "\x9b", "\u2028", "\u2029"])
def test_each_control_character_is_a_blank(control: str) -> None:
    assert printable(f"a{control}b") == "a b"
    assert next(write([wrong("job", "", f"a{control}b", "")])) == "wrong    job: a b"


def test_every_text_of_an_object_is_made_so_and_nothing_else_is_touched() -> None:
    assert printable({"a\x1b": ["ü\r", {"n": 1, "none": None, "yes": True}]}) == {
        "a ": ["ü ", {"n": 1, "none": None, "yes": True}]
    }
