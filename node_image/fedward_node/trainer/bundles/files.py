"""A bundle's files: where each belongs, and whether it is the bundle that it has to be; nothing of it is run here."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from fedward_protocol.plan import Bundle
from fedward_protocol.reasons import Reason, RefusedError

TRAIN = "configs/train.json"
EVALUATE = "configs/evaluate.json"
_CONFIG_ENDINGS = (".json", ".yaml", ".yml")
# MONAI's names for what a training bundle must offer, and where its configuration has it.
_REQUIRED = (
    "device",
    "dataset_dir",
    "network_def",
    "train#trainer",
    "train#dataset",
    "train#inferer",
)


def lay_out(bundle: Bundle) -> dict[str, str]:
    """Give each file its path in the bundle; a key without a folder, as ConfigMaps have them, goes where it belongs.

    Raises:
        RefusedError: BUNDLE_INVALID where a path leads out of the bundle.
    """
    placed = {}
    for key, text in bundle.files.items():
        path = PurePosixPath(key)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            _refuse(key, "the path leads out of the bundle")
        if len(path.parts) == 1 and path.suffix in _CONFIG_ENDINGS:
            path = "configs" / path
        elif len(path.parts) == 1 and path.suffix == ".py":
            path = "scripts" / path
        if str(path) in placed:
            _refuse(key, f"{path} is there twice")
        placed[str(path)] = text
    return placed


def check(files: Mapping[str, str]) -> None:
    """Check what can be checked without running anything.

    Raises:
        RefusedError: BUNDLE_INVALID, naming the file and the key.
    """
    for path, text in files.items():
        _check_notation(path, text)
    if TRAIN not in files:
        _refuse(TRAIN, "missing; it is what the bundle trains with")
    document = _parse(TRAIN, files[TRAIN])
    for key in _REQUIRED:
        _demand(TRAIN, document, key)
    if not isinstance(document["train"]["trainer"], dict):
        _refuse(f"{TRAIN}: train#trainer", "must hold a _target_")
    target = str(document["train"]["trainer"].get("_target_", ""))
    if target.rpartition(".")[2] != "SupervisedTrainer":
        _refuse(f"{TRAIN}: train#trainer#_target_", "must be MONAI's SupervisedTrainer")
    if EVALUATE in files:
        document = document | _parse(EVALUATE, files[EVALUATE])
    _demand(EVALUATE if EVALUATE in files else TRAIN, document, "validate#evaluator")


def write(files: Mapping[str, str], folder: Path) -> None:
    """Write the files and make scripts a package."""
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    scripts = folder / "scripts"
    if scripts.is_dir():
        (scripts / "__init__.py").touch()


def _check_notation(path: str, text: str) -> None:
    if path.startswith("configs/") and path.endswith((".yaml", ".yml")):
        _refuse(path, "write configurations as JSON")
    if path.endswith(".py"):
        try:
            ast.parse(text)
        except SyntaxError as error:
            _refuse(path, f"line {error.lineno}: {error.msg}")


def _parse(path: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        _refuse(path, f"not valid JSON: {error}")
    if not isinstance(document, dict):
        _refuse(path, "must hold keys and values")
    return document


def _demand(path: str, document: dict[str, Any], key: str) -> None:
    value: Any = document
    for part in key.split("#"):
        if not isinstance(value, dict) or part not in value:
            _refuse(f"{path}: {key}", "missing")
        value = value[part]


def _refuse(where: str, what: str) -> NoReturn:
    raise RefusedError(Reason.BUNDLE_INVALID, f"{where}: {what}")
