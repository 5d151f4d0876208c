"""An option whose value may be left out: `--metrics` alone, or `--metrics HOST:PORT`."""

from __future__ import annotations

from collections.abc import Callable, Sequence


def fill_in(arguments: Sequence[str], option: str, default: str, is_value: Callable[[str], bool]) -> list[str]:
    """Give the option its default wherever what follows is no value of it, such as the file that the command takes."""
    filled: list[str] = []
    for position, argument in enumerate(arguments):
        if argument == "--":
            return [*filled, *arguments[position:]]
        following = arguments[position + 1] if position + 1 < len(arguments) else ""
        stands_alone = argument == option and not is_value(following)
        filled.append(f"{option}={default}" if stands_alone else argument)
    return filled
