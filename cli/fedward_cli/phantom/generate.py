"""Make a cohort: every patient by a seed of its own, in as many processes as help, into one folder a site."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from fedward_cli.phantom import anatomy, contrasts, tumour
from fedward_cli.phantom.cohorts import Cohort, Part, Patient, Site
from fedward_cli.phantom.grid import Grid
from fedward_cli.phantom.scanner import Scanner
from fedward_cli.phantom.warp import Warp
from fedward_cli.phantom.writer import NAMINGS, Format, write_case

Progress = Callable[[int, int], None]
"""Told how many patients exist, and of how many."""

_STREAMS: dict[Part | str, int] = {"training": 0, "validation": 1, "scanner": 2}
_WORTH_A_POOL = 4_000_000
"""Voxels in all; below, starting processes takes longer than making the patients."""
_BYTES_PER_VOXEL = 160
"""What one process holds at most while it makes a patient."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a patient's bytes depend on, beside the patient."""

    grid: Grid
    seed: int
    format: Format


def generate(cohort: Cohort, settings: Settings, out: Path, progress: Progress) -> None:
    """Write every patient of `cohort` to `out`/<site>/<case>; one whose folder exists already is left as it is.

    Raises:
        FileNotFoundError: nilearn is not installed.
        OSError: the disk is full, say.
    """
    patients = cohort.patients()
    missing = [patient for patient in patients if not case_folder(out, patient, settings.format).exists()]
    for site in {patient.site.name for patient in missing}:
        (out / site).mkdir(parents=True, exist_ok=True)
    done = len(patients) - len(missing)
    progress(done, len(patients))
    for _ in _made(missing, settings, out):
        done += 1
        progress(done, len(patients))


def case_folder(out: Path, patient: Patient, layout: Format) -> Path:
    """Say where a patient's volumes lie."""
    return out / patient.site.name / NAMINGS[layout].case.format(number=patient.number)


def make(patient: Patient, settings: Settings, out: Path) -> Patient:
    """Make one patient, from its own random stream, and write it."""
    grid, site = settings.grid, patient.site
    rng = _stream(settings.seed, site, patient.part, patient.index)
    brain = Warp.draw(rng).bring(anatomy.load(grid.spacing), grid)
    lesion = tumour.grow(brain, grid, patient.grade, rng)
    images = contrasts.render(brain, lesion, grid, rng)
    scanner = Scanner.draw(_stream(settings.seed, site, "scanner", 0), site.blur, site.noise)
    stored = scanner.acquire(images, brain.mask, grid, rng)
    folder = case_folder(out, patient, settings.format)
    write_case(folder, NAMINGS[settings.format], stored, lesion.labels(), grid)
    return patient


def _stream(seed: int, site: Site, part: Part | str, index: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(site.number, _STREAMS[part], index)))


def _made(patients: list[Patient], settings: Settings, out: Path) -> Iterator[Patient]:
    voxels = math.prod(settings.grid.shape)
    workers = min(_cores(), len(patients), max(1, _memory() // 2 // (voxels * _BYTES_PER_VOXEL)))
    if workers < 2 or voxels * len(patients) < _WORTH_A_POOL:
        yield from (make(patient, settings, out) for patient in patients)
        return
    # spawn: the caller may run threads (a progress bar), and a fork would copy the locks that they hold.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            yield from pool.map(make, patients, itertools.repeat(settings), itertools.repeat(out))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
