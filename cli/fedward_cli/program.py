"""The commands as one program, and what it says of a choice that is none."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup


class Program(TyperGroup):
    """Commands that say of a choice which is none what is wrong with it, without words of what checks it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            error.message = error.message.removeprefix("Value error, ")
            raise
