"""Which files of a ConfigMap make up a MONAI bundle, and where in the bundle each belongs."""

from __future__ import annotations

from pathlib import PurePosixPath

from fedward_operator.api import ConfigMap
from fedward_operator.hub.findings import Finding, UnresolvableError
from fedward_protocol.plan import Bundle

_FOLDERS = {".json": "configs", ".py": "scripts"}
_YAML = (".yaml", ".yml")
_LARGEST_NBYTES = 1 << 20
"""What the API server takes; a local run keeps to it, so that what runs here applies there."""


def bundle_of(config_map: ConfigMap) -> Bundle:
    """Lay out a ConfigMap's files as a bundle; its keys cannot hold slashes, so the folder follows from the ending.

    Raises:
        UnresolvableError: a file belongs to no folder, there is none, or they are too large together.
    """
    findings = [
        Finding(("data", key), _why_not(key))
        for key in sorted(config_map.data)
        if PurePosixPath(key).suffix not in _FOLDERS
    ]
    if not config_map.data:
        findings.append(Finding(("data",), "holds no file of a bundle"))
    nbytes = sum(len(text.encode()) for text in config_map.data.values())
    if nbytes > _LARGEST_NBYTES:
        findings.append(Finding(("data",), f"holds {nbytes} bytes; a ConfigMap takes {_LARGEST_NBYTES}"))
    if findings:
        raise UnresolvableError(tuple(findings))
    return Bundle(
        files={f"{_FOLDERS[PurePosixPath(key).suffix]}/{key}": config_map.data[key] for key in sorted(config_map.data)}
    )


def _why_not(key: str) -> str:
    if key.endswith(_YAML):
        return "write configurations as JSON"
    return "cannot tell where in a bundle it belongs; name it *.json or *.py"
