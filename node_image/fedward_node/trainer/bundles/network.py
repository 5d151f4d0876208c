"""A bundle's network, built from its configuration alone: no dataset is touched, so the hub can do it."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from monai.bundle.config_parser import ConfigParser

from fedward_node.trainer.bundles import files
from fedward_protocol.plan import Bundle
from fedward_protocol.reasons import Reason, RefusedError


def build_bundle_network(bundle: Bundle) -> torch.nn.Module:
    """Build what `network_def` of configs/train describes, on the CPU, with weights from torch's own generator.

    Raises:
        RefusedError: BUNDLE_INVALID.
    """
    laid_out = files.lay_out(bundle)
    files.check(laid_out)
    with tempfile.TemporaryDirectory() as folder, scripts_of(Path(folder)):
        files.write(laid_out, Path(folder))
        parser = ConfigParser()
        parser.read_config(str(Path(folder) / files.TRAIN))
        parser.update({"bundle_root": folder})
        try:
            built = parser.get_parsed_content("network_def")
        except Exception as error:
            raise RefusedError(Reason.BUNDLE_INVALID, f"{files.TRAIN}: network_def: {innermost(error)}") from error
    if not isinstance(built, torch.nn.Module):
        raise RefusedError(
            Reason.BUNDLE_INVALID, f"{files.TRAIN}: network_def is a {type(built).__name__}, not a network"
        )
    return built.to("cpu")


@contextmanager
def scripts_of(folder: Path) -> Iterator[None]:
    """Let the bundle's `scripts` package be imported, in this process and for as long as the context lasts."""
    sys.path.insert(1, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in [name for name in sys.modules if name == "scripts" or name.startswith("scripts.")]:
            del sys.modules[name]


def innermost(error: BaseException) -> str:
    """Say what went wrong first: MONAI wraps an error once for each level of the configuration."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {error}"
