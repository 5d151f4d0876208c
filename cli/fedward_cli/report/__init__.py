"""The report of a run: one HTML file that needs no network, made from what the run left in its folder."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from fedward_cli.report.curves import dice_curves
from fedward_cli.results import Result, RoundRecord, read_result

PAGE = "report.html"


def write_report(out: Path) -> Path:
    """Write report.html into the run's folder and return its path.

    Raises:
        OSError: result.json cannot be read, or the report not written.
        pydantic.ValidationError: what the run left is damaged.
    """
    page = out / PAGE
    unfinished = page.with_suffix(".tmp")
    unfinished.write_text(render(read_result(out), _records(out)), encoding="utf-8")
    unfinished.replace(page)
    return page


def render(result: Result, records: tuple[RoundRecord, ...]) -> str:
    """Return the page; every value from outside is escaped."""
    environment = Environment(
        loader=PackageLoader("fedward_cli.report", "."), autoescape=select_autoescape(), undefined=StrictUndefined
    )
    means = {site.name: {name: m.sum / m.count for name, m in site.metrics.items() if m.count} for site in result.sites}
    return environment.get_template("page.html").render(
        result=result, means=means, curves=dice_curves(records), worst=_worst(means)
    )


def _worst(means: dict[str, dict[str, float]]) -> str | None:
    judged = {site: values["dice"] for site, values in means.items() if "dice" in values}
    return min(judged, key=judged.__getitem__) if judged else None


def _records(out: Path) -> tuple[RoundRecord, ...]:
    file = out / "metrics.jsonl"
    if not file.exists():
        return ()
    return tuple(RoundRecord.model_validate_json(line) for line in file.read_text(encoding="utf-8").splitlines())
