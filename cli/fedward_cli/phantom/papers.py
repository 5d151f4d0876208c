"""The papers that lie beside the images: what they are, who is held out, and whose anatomy it is."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fedward_cli.phantom.anatomy import LICENCE
from fedward_cli.phantom.cohorts import Cohort, Patient, Site
from fedward_cli.phantom.generate import Settings, case_folder

MARK = "phantom.json"
"""In the topmost folder: what was asked for. A folder without it is somebody else's data."""
GENERATOR = 1
"""Rises whenever the same seed gives other images."""
NOTICE = "Synthetic data: no patient has been scanned for it. Never mix it with patients' data."


class OtherDataError(Exception):
    """The folder holds something that the phantom must not overwrite."""


def claim(out: Path, cohort: Cohort, settings: Settings) -> None:
    """Mark the folder as this cohort's, before anything else is written into it.

    Raises:
        OtherDataError: the folder holds other data, or a phantom that was made otherwise.
    """
    request = {
        "generator": GENERATOR,
        "cohort": cohort.name,
        "sites": [site.name for site in cohort.sites],
        "shape": list(settings.grid.shape),
        "spacing": settings.grid.spacing,
        "seed": settings.seed,
        "format": settings.format,
    }
    mark = out / MARK
    if out.exists() and not out.is_dir():
        raise OtherDataError(f"{out} is a file; name a folder")
    if mark.exists():
        if mark.read_text(encoding="utf-8") != _text(request):
            raise OtherDataError(f"{out} holds a phantom made with other options; name another folder or delete it")
        return
    if out.exists() and any(out.iterdir()):
        raise OtherDataError(f"{out} is not empty and holds no phantom; name another folder")
    out.mkdir(parents=True, exist_ok=True)
    _write(mark, _text(request))
    _write(out / "README.md", _readme(f"# Phantom: {len(cohort.sites)} made-up hospitals", settings))


def describe(out: Path, site: Site, settings: Settings) -> None:
    """Write a site's `split.json`, `cohort.json` and README, once its images are there."""
    folder = out / site.name
    names = {
        part: [_name(p, settings) for p in site.patients() if p.part == part] for part in ("training", "validation")
    }
    _write(folder / "split.json", _text(names))
    cohort = {
        "synthetic": True,
        "notice": NOTICE,
        "licence": LICENCE,
        "generator": GENERATOR,
        "seed": settings.seed,
        "format": settings.format,
        "shape": list(settings.grid.shape),
        "spacing": settings.grid.spacing,
        "site": site.name,
        "training": asdict(site.training),
        "validation": asdict(site.held_out),
        "grades": {_name(patient, settings): patient.grade for patient in site.patients()},
    }
    _write(folder / "cohort.json", _text(cohort))
    _write(folder / "README.md", _readme(f"# {site.name}: a made-up hospital", settings))


def _name(patient: Patient, settings: Settings) -> str:
    return case_folder(Path(), patient, settings.format).name


def _readme(title: str, settings: Settings) -> str:
    return (
        f"{title}\n\n{NOTICE}\n\n"
        f"Written by `fedward phantom`, generator {GENERATOR}, seed {settings.seed}, laid out as {settings.format}. "
        "Each site's `split.json` names the cases to train on and those held out, `cohort.json` their grades.\n\n"
        f"{LICENCE}\n"
    )


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write(path: Path, text: str) -> None:
    """Write so that a reader, or a kill, never meets half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
