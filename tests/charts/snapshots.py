"""How rendered manifests are kept: one case in full, of every other what is different in it."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path

import yaml
from tests.charts.helm import Manifest

FOLDER = Path(__file__).parent / "snapshots"


class _Readable(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    lines = "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    return dumper.represent_scalar(
        "tag:yaml.org,2002:str", lines if "\n" in text else text, "|" if "\n" in text else None
    )


_Readable.add_representer(str, _text)


def by_name(manifests: Sequence[Manifest]) -> dict[str, str]:
    """Write each manifest, in an order that is no release of Helm's; the kinds' definitions are compared elsewhere."""
    return {
        f"{each['kind']} {each['metadata']['name']}": yaml.dump(_shortened(each), Dumper=_Readable, width=120)
        for each in sorted(manifests, key=lambda each: (each["kind"], each["metadata"]["name"]))
        if each["kind"] != "CustomResourceDefinition"
    }


def _shortened(manifest: Manifest) -> Manifest:
    """Leave out alerts and dashboards, which are made elsewhere and change on their own."""
    if manifest["kind"] == "PrometheusRule":
        return {**manifest, "spec": {"groups": [group["name"] for group in manifest["spec"]["groups"]]}}
    if "-dashboard-" in manifest["metadata"]["name"]:
        return {**manifest, "data": list(manifest["data"])}
    return manifest


def in_full(manifests: Sequence[Manifest]) -> str:
    """Write all manifests."""
    return "---\n".join(by_name(manifests).values())


def changes(before: Sequence[Manifest], after: Sequence[Manifest]) -> str:
    """Write what is different in the second, object by object."""
    old, new = by_name(before), by_name(after)
    pieces = []
    for name in sorted(old.keys() | new.keys()):
        lines = difflib.unified_diff(old.get(name, "").splitlines(), new.get(name, "").splitlines(), n=2, lineterm="")
        # Without line numbers, which change with whatever is above.
        said = ["@@" if line.startswith("@@") else line for line in list(lines)[2:]]
        if said:
            how = "" if name in old and name in new else " (new)" if name in new else " (gone)"
            pieces.append("\n".join([f"=== {name}{how}", *said]) + "\n")
    return "".join(pieces)
