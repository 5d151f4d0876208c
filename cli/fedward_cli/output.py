"""What a command shows, for programs: JSON or YAML, the same document in both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from io import StringIO
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


class Format(StrEnum):
    """How to print it."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


Output = Annotated[Format, typer.Option("--output", "-o", help="For people, or for programs.", case_sensitive=False)]


def show(output: Format, document: Callable[[], Document], text: Callable[[], Iterable[RenderableType]]) -> None:
    """Print a document, or the text that says the same to people; only what is asked for is made."""
    if output is not Format.TEXT:
        typer.echo(written(document(), output), nl=False)
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if console.is_terminal:
        for each in text():
            console.print(each, soft_wrap=isinstance(each, str))
        return
    # Whoever reads a pipe wants each row on a line, however long, and no blanks behind it.
    held = StringIO()
    wide = Console(width=1000, highlight=False, markup=False, file=held)
    for each in text():
        wide.print(each, soft_wrap=isinstance(each, str))
    for line in held.getvalue().splitlines():
        typer.echo(line.rstrip())


def shown_next(output: Format, document: Document) -> None:
    """Print one of several documents at once: JSON on a line of its own, YAML behind a line of `---`."""
    if output is Format.JSON:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"
    else:
        text = "---\n" + written(document, output)
    print(text, end="", flush=True)  # noqa: T201


def written(document: Document, output: Format) -> str:
    """Write a document."""
    if output is Format.JSON:
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    import yaml

    # By way of JSON, so that both hold the same and no type of ours shows.
    return yaml.safe_dump(json.loads(json.dumps(document)), sort_keys=False, allow_unicode=True)
