"""What `fedward run` shows: lines or a drawing as it goes, and at the end how it ended; programs read the end alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from fedward_cli.exits import FAILED, INTERRUPTED
from fedward_cli.local.live import Drawn
from fedward_cli.local.view import Lines
from fedward_cli.output import Format, show

if TYPE_CHECKING:
    from fedward_cli.local.view import View
    from fedward_cli.results import Result


def view(output: Format) -> View:
    """Make what shows how it goes: on stdout to people, on stderr where programs read stdout."""
    is_for_people = output is Format.TEXT
    console = Console(stderr=not is_for_people)
    if console.is_terminal:
        return Drawn(console)
    return Lines(lambda line: print(line, file=sys.stdout if is_for_people else sys.stderr, flush=True))


def end(result: Result, folder: Path, output: Format) -> int:
    """Say how it ended, and return the exit code."""
    if output is not Format.TEXT:
        show(output, lambda: {"folder": str(folder), **result.model_dump(mode="json", by_alias=True)}, list)
    if result.state == "Stopped":
        typer.echo("stopped; the same command goes on from there", err=True)
        return INTERRUPTED
    if result.state == "Failed":
        why = result.failure
        typer.echo(f"error: the job failed: {why.reason} {why.detail}" if why else "error: the job failed", err=True)
        typer.echo(f"logs: {folder / 'logs'}", err=True)
        return FAILED
    if output is Format.TEXT:
        typer.echo(f"model:  {folder / 'model.safetensors'}\nreport: {folder / 'report.html'}")
    return 0
