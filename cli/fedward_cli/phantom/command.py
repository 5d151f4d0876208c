"""The command `fedward phantom`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from fedward_cli.phantom.cohorts import Cohort, Grades, demo, table
from fedward_cli.phantom.grid import Grid, parse_size

if TYPE_CHECKING:
    from fedward_cli.phantom.generate import Settings

_MEASURED = ("nibabel", "nilearn", "scipy")


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder to write to; one folder a site is made in it.")],
    sites: Annotated[int, typer.Option(help="How many of the demo's sites: north, south, east, west.")] = 4,
    paper: Annotated[
        bool, typer.Option("--table", help="The 13 sites of Li et al. (2019) instead: 242 training cases, 43 held out.")
    ] = False,
    size: Annotated[str, typer.Option(help="Voxels: 32 is 32x32x32; BraTS itself is 240x240x155.")] = "32",
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.", min=0, max=2**31 - 1)] = 0,
    layout: Annotated[str, typer.Option("--format", help="brats2023, or brats2021 with its label 4.")] = "brats2023",
) -> None:
    """Make up data to try a federation with: real anatomy, synthetic tumours, one scanner a site, as BraTS folders."""
    missing = [name for name in _MEASURED if importlib.util.find_spec(name) is None]
    if missing:
        raise typer.BadParameter(f"needs {', '.join(missing)}: pip install 'fedward[phantom]'", param_hint="phantom")
    from fedward_cli.phantom.generate import Settings, generate
    from fedward_cli.phantom.papers import OtherDataError, claim, describe
    from fedward_cli.phantom.writer import NAMINGS

    chosen = next((name for name in NAMINGS if name == layout), None)
    if chosen is None:
        raise typer.BadParameter(f"must be one of {', '.join(NAMINGS)}, not {layout!r}", param_hint="--format")
    try:
        grid = Grid.around_brain(parse_size(size))
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--size") from error
    try:
        cohort = table() if paper else demo(sites)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--sites") from error

    settings = Settings(grid, seed, chosen)
    try:
        claim(out, cohort, settings)
    except OtherDataError as error:
        raise typer.BadParameter(str(error), param_hint="OUT") from error
    with _bar() as bar:
        task = bar.add_task("making patients", total=None)
        generate(cohort, settings, out, lambda done, total: bar.update(task, completed=done, total=total))
    for site in cohort.sites:
        describe(out, site, settings)
    _summarise(Console(), out, cohort, settings)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())


def _summarise(console: Console, out: Path, cohort: Cohort, settings: Settings) -> None:
    summary = Table("site", "training", "held out", box=None, pad_edge=False)
    for site in cohort.sites:
        summary.add_row(site.name, _counts(site.training), _counts(site.held_out))
    training = Grades(*(sum(getattr(s.training, grade) for s in cohort.sites) for grade in ("high", "low")))
    held_out = Grades(*(sum(getattr(s.held_out, grade) for s in cohort.sites) for grade in ("high", "low")))
    summary.add_row("all", _counts(training), _counts(held_out))
    console.print(summary)
    nbytes = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    shape = " x ".join(map(str, settings.grid.shape))
    console.print(
        f"{training.total + held_out.total} synthetic patients of {shape} voxels ({settings.grid.spacing:g} mm), "
        f"seed {settings.seed}, {nbytes / 1e6:,.1f} MB in {out}",
        soft_wrap=True,
    )


def _counts(grades: Grades) -> str:
    return f"{grades.total:3} ({grades.high} high, {grades.low} low grade)"
