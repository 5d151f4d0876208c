"""A site's dataset, opened: usable cases, divided, as many of them in memory as the plan says."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from fedward_node.trainer.data.case import CaseFiles
from fedward_node.trainer.data.checks import check_case, wanted_modalities
from fedward_node.trainer.data.detect import detect
from fedward_node.trainer.data.fixed_split import read_fixed_split
from fedward_node.trainer.data.labels import check
from fedward_node.trainer.data.preparation import PreparedCase, prepare
from fedward_node.trainer.data.split import split
from fedward_node.trainer.data.volumes import read_labels
from fedward_protocol.plan import Plan
from fedward_protocol.reasons import Reason, RefusedError

_logger = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class CaseStore:
    """Prepared cases by index; those not kept in memory are read again each time."""

    def __init__(
        self,
        kept: Sequence[PreparedCase],
        streamed: Sequence[CaseFiles],
        read: Callable[[CaseFiles], PreparedCase],
    ) -> None:
        self._kept = tuple(kept)
        self._streamed = tuple(streamed)
        self._read = read

    def __len__(self) -> int:
        return len(self._kept) + len(self._streamed)

    def read(self, index: int) -> PreparedCase:
        """Give one case.

        Raises:
            RefusedError: the case was readable when the dataset was opened and no longer is.
        """
        if index < len(self._kept):
            return self._kept[index]
        return self._read(self._streamed[index - len(self._kept)])


@dataclass(frozen=True, slots=True)
class Dataset:
    """What a site can train and validate on.

    Attributes:
        training: cases to train on.
        validation: cases of held-out patients.
        skipped: cases left out because they could not be used.
    """

    training: CaseStore
    validation: CaseStore
    skipped: int


def open_dataset(root: Path, plan: Plan, threads: int = 1) -> Dataset:
    """Find, check, divide and load a dataset.

    Every case is read once in full, so that the counts are final and a damaged file shows now, not in round 30.

    Raises:
        RefusedError: DATASET_EMPTY, DATASET_FORMAT_UNKNOWN, LABEL_CONVENTION, MODALITY_MISSING, MALFORMED; and with
            plan.data.unreadable_cases "stop" whatever was wrong with the first unusable case.
    """
    modalities = wanted_modalities(plan.data.modalities)
    files, convention = detect(root, plan.data.format)
    with ThreadPoolExecutor(threads) as readers:
        reader = _Reader(plan.data.unreadable_cases == "stop", readers)
        readable = reader.ask(files, partial(_label_values, modalities=modalities))
        check([values for _, values in readable], convention)
        read = partial(prepare, modalities=modalities, convention=convention)
        # The split is taken over all cases found, so that one damaged file moves no other patient across.
        usable = {case.name for case, _ in readable}
        fixed = read_fixed_split(root)
        divided = fixed.divide(files) if fixed else split(files, plan.data.validation_fraction, plan.seed)
        halves = [[case for case in half if case.name in usable] for half in divided]
        training, validation = (_load(half, read, plan.training.cache_rate, reader) for half in halves)
    if not len(training):
        raise RefusedError(
            Reason.DATASET_EMPTY, f"{len(files)} cases found, {reader.skipped} of them unusable, none left to train on"
        )
    return Dataset(training, validation, reader.skipped)


class _Reader:
    """Asks each case a question on several threads, and leaves out or refuses those that cannot answer."""

    def __init__(self, stop: bool, threads: ThreadPoolExecutor) -> None:
        self._stop = stop
        self._threads = threads
        self.skipped = 0

    def ask(
        self, cases: Sequence[CaseFiles], question: Callable[[CaseFiles], _Answer]
    ) -> list[tuple[CaseFiles, _Answer]]:
        """Give the cases that could be read, in their order, with their answers."""
        answered = []
        for case, answer in zip(cases, self._threads.map(partial(_attempt, question), cases), strict=True):
            if not isinstance(answer, RefusedError):
                answered.append((case, answer))
                continue
            self.skipped += 1
            _logger.warning("case %s cannot be used: %s", case.name, answer)
            if self._stop:
                raise answer
        return answered


def _attempt(question: Callable[[CaseFiles], _Answer], case: CaseFiles) -> _Answer | RefusedError:
    try:
        return question(case)
    except RefusedError as refusal:
        return refusal


def _label_values(case: CaseFiles, modalities: tuple[str, ...]) -> frozenset[int]:
    check_case(case, modalities)
    assert case.segmentation is not None  # check_case has refused a case without one
    return frozenset(np.unique(read_labels(case.segmentation)).tolist())


def _load(
    cases: Sequence[CaseFiles], read: Callable[[CaseFiles], PreparedCase], cache_rate: float, reader: _Reader
) -> CaseStore:
    count = math.ceil(cache_rate * len(cases))
    kept = reader.ask(cases[:count], read)
    streamed = reader.ask(cases[count:], lambda case: read(case).name)
    return CaseStore([case for _, case in kept], [case for case, _ in streamed], read)
