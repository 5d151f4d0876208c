"""The exit codes of every command, and the ways to them."""

from __future__ import annotations

from typing import NoReturn

import typer

FAILED = 1
"""The job failed, or what was looked at is not as it should be."""

BAD_INPUT = 2
"""It could not be done: bad input, no such thing, no cluster, a right that is missing."""

INTERRUPTED = 130
"""By the user."""


def reject(message: str) -> NoReturn:
    """End with what is wrong with the input.

    Raises:
        typer.Exit: always.
    """
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(BAD_INPUT)
