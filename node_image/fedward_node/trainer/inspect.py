"""Counts a dataset's cases and what is wrong with them, and says nothing else: no name, no path, no header."""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fedward_node.trainer.data.case import MODALITY_SPELLINGS, CaseFiles
from fedward_node.trainer.data.detect import detect
from fedward_node.trainer.data.labels import Convention, check
from fedward_node.trainer.data.volumes import Grid, read_grid, read_image, read_labels
from fedward_protocol.inspection import Inspection, Obstacle, Problem
from fedward_protocol.reasons import RefusedError

_MODALITIES = tuple(sorted(set(MODALITY_SPELLINGS.values())))
"""Every layout's releases have all of them."""

_Values = frozenset[int]


def inspect(root: Path, layout: str = "auto") -> Inspection:
    """Look at every file of every case in full; `layout` is the format's name, or "auto"."""
    with _quiet():
        try:
            if root.is_dir():
                os.scandir(root).close()
            cases, convention = detect(root, layout)
        except RefusedError as refused:
            return Inspection(obstacle=Obstacle(refused.reason.value))
        except Exception:  # noqa: BLE001 its text may name a file, and no kind of damage may make us repeat it
            return Inspection(obstacle=Obstacle.DATASET_UNREADABLE)
        seen = [_look(case) for case in cases]
        folders = _folders_unopened(root)
    strange = _strange([values for _, values in seen if values is not None], convention)
    found: Counter[Problem] = Counter()
    complete = 0
    for problems, values in seen:
        if values in strange:
            problems.add(Problem.LABEL_CONVENTION)
        found.update(problems)
        complete += not problems
    if folders:
        found[Problem.FOLDER_UNREADABLE] = folders
    labelled = sum(values is not None for _, values in seen)
    # Sorted, since the order in which they were found is the order of the cases' names.
    return Inspection(cases=len(cases), labelled=labelled, complete=complete, problems=dict(sorted(found.items())))


def _look(case: CaseFiles) -> tuple[set[Problem], _Values | None]:
    """Give what is wrong with a case by itself, and the values of its label map where that can be read."""
    problems: set[Problem] = set()
    grids: list[Grid] = []
    values: _Values | None = None
    if case.segmentation is None:
        problems.add(Problem.LABEL_MISSING)
    else:
        with _counted(problems):
            values = frozenset(np.unique(read_labels(case.segmentation)).tolist())
            grids.append(read_grid(case.segmentation))
    for modality in _MODALITIES:
        if modality not in case.images:
            problems.add(Problem.MODALITY_MISSING)
            continue
        with _counted(problems):
            read_image(case.images[modality])
            grids.append(read_grid(case.images[modality]))
    if any(not each.matches(grids[0]) for each in grids):
        problems.add(Problem.AFFINE_MISMATCH)
    return problems, values


@contextlib.contextmanager
def _counted(problems: set[Problem]) -> Iterator[None]:
    try:
        yield
    except RefusedError as refused:
        problems.add(Problem(refused.reason.value))
    except Exception:  # noqa: BLE001 a damaged file makes its reader raise anything, in words that may name it
        problems.add(Problem.CASE_UNREADABLE)


def _strange(found: list[_Values], convention: Convention) -> set[_Values]:
    """Give the sets of label values that the convention does not allow, or all where it doubts the whole dataset."""
    strange = {values for values in found if values - convention.values}
    if strange:
        return strange
    try:
        check(found, convention)
    except RefusedError:
        return set(found)
    return set()


def _folders_unopened(root: Path) -> int:
    """Count the folders that may not be opened: the search for cases passes over them without a word."""
    unopened: list[OSError] = []
    for _, folders, _ in os.walk(root, onerror=unopened.append):
        folders[:] = [name for name in folders if not name.startswith(".")]
    return len(unopened)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep nibabel, numpy and the like from saying what they find in a header."""
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(logging.NOTSET)
