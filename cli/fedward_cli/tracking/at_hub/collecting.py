"""`collect`: takes what `finish` needs off a job's volume: what speaks with a server never has the rest of it."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from fedward_cli.tracking.at_hub.arguments import Collect
from fedward_cli.tracking.at_hub.exits import DONE, FAILED
from fedward_protocol.last_word import leave_word
from fedward_protocol.plan import Plan
from fedward_server.export import reading
from fedward_server.journal import JournalError

_JOURNAL, _LOG, _MODELS, _NEW = "journal.db", "journal.db-wal", "models", "new"

_log = logging.getLogger(__name__)


def collect_job(asked: Collect, plan: Plan) -> int:
    """Copy what is left of a job; return the exit code. What is missing or unreadable is for `finish` to say."""
    try:
        copy_left(asked.state, plan, asked.out)
    except OSError as error:
        word = f"what the job left cannot be copied: {error}"
        _log.critical("%s", word)
        leave_word(word)
        return FAILED
    return DONE


def copy_left(state: Path, plan: Plan, out: Path) -> None:
    """Copy the journal and the model that the job delivers, not its hospitals' updates; nothing if there is no journal.

    Args:
        state: folder of the journal and the models; nothing is written there.
        plan: the job's.
        out: takes the copies; what an earlier try left there goes away. The journal comes last, once all is whole.

    Raises:
        OSError: something cannot be read or written.
    """
    new = out / _NEW
    for name in (_JOURNAL, _LOG):
        (out / name).unlink(missing_ok=True)
    for folder in (new, out / _MODELS):
        shutil.rmtree(folder, ignore_errors=True)
    if not (state / _JOURNAL).exists():
        return
    (new / _MODELS).mkdir(parents=True)
    model = _delivered(state, plan)
    if model is not None and model.exists():
        shutil.copyfile(model, new / _MODELS / model.name)
    names = [name for name in (_LOG, _JOURNAL) if (state / name).exists()]
    for name in names:
        shutil.copyfile(state / name, new / name)
    for name in (_MODELS, *names):
        (new / name).rename(out / name)
    new.rmdir()


def _delivered(state: Path, plan: Plan) -> Path | None:
    """Name the delivered model's file; None where there is none, or a journal that cannot be read."""
    try:
        with reading(state, plan) as left:
            return left.model
    except JournalError:
        return None
