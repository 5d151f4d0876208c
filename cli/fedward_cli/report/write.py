"""From a run's folder to `report.html`: read, arrange, render; nothing in the page asks for another file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from fedward_cli.report.page import arrange
from fedward_cli.report.pictures import read_pictures
from fedward_cli.results import REPORT, read_baselines, read_result, read_rounds

if TYPE_CHECKING:
    from fedward_cli.report.page import Page


def write_report(out: Path) -> Path:
    """Write `report.html` into a run's folder from what the run left there, and return its path.

    Needs `result.json`; `metrics.jsonl`, `baselines.json` and `examples/*.npz` add to it where they are.

    Raises:
        FileNotFoundError: there is no `result.json`.
        InputError: a file is not what its name says.
    """
    result = read_result(out)
    page = arrange(result, read_rounds(out), read_baselines(out), read_pictures(out))
    path = out / REPORT
    partial = path.with_name(path.name + ".tmp")
    partial.write_text(render(page), encoding="utf-8")
    partial.replace(path)
    return path


def render(page: Page) -> str:
    """Fill in the template; every text is escaped, because sites choose their names."""
    loader = PackageLoader("fedward_cli.report", "template")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html").render(page=page)
