"""Writes what the charts take from elsewhere: kinds, rights, shared templates, schema definitions, the table of values.

Usage: python scripts/generate_charts.py [FOLDER]
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CHARTS = ROOT / "charts"

KINDS = {
    # A site chart in the hub's cluster leaves the kinds to the hub chart, which therefore has all of them.
    "fedward-hub": ("federatedjobs", "federatedsites", "sitejobs", "sitepolicies"),
    "fedward-site": ("sitejobs", "sitepolicies"),
}
ROLES = {"fedward-hub": "hub", "fedward-site": "site"}

_METADATA = '{{{{- include "fedward.metadata" (dict "root" . {}) | nindent 2 }}}}'
_AUTHORITY = "fedward-authority"
_VALUES = ("<!-- values -->", "<!-- /values -->")


def generate(folder: Path) -> None:
    """Write every generated file of every chart below `folder`."""
    for chart, kinds in KINDS.items():
        templates = folder / chart / "templates"
        (templates / "crds").mkdir(parents=True, exist_ok=True)
        for plural in kinds:
            (templates / "crds" / f"{plural}.yaml").write_text(_definition(plural))
        (templates / "rbac.yaml").write_text(_rights(ROLES[chart]))
        for shared in sorted((CHARTS / "shared").glob("*.tpl")):
            text = f"{_made_from(f'charts/shared/{shared.name}')}\n{shared.read_text()}"
            (templates / shared.name).write_text(text)
        (folder / chart / "values.schema.json").write_text(_schema(chart))
        (folder / chart / "README.md").write_text(_readme(chart))


def _made_from(source: str) -> str:
    return f"{{{{- /* Made by `make charts` from {source}. */ -}}}}"


def _definition(plural: str) -> str:
    source = f"operator/crds/{plural}.yaml"
    text = (ROOT / source).read_text().partition("\n")[2]
    head = f"metadata:\n  name: {plural}.fedward.io\n"
    if text.count(head) != 1 or "{{" in text:
        raise ValueError(f"{source}: cannot be made a template; it needs one {head!r} and no braces of templates")
    arguments = f'"cluster" true "name" "{plural}.fedward.io" "annotations" (dict "helm.sh/resource-policy" "keep")'
    body = text.replace(head, f"metadata: {_METADATA.format(arguments)}\n")
    return f"{_made_from(source)}\n{{{{- if .Values.crds.enabled }}}}\n{body}{{{{- end }}}}\n"


def _rights(role: str) -> str:
    source = f"operator/rbac/{role}.yaml"
    documents = []
    for given in yaml.safe_load_all((ROOT / source).read_text()):
        kind, name = given["kind"], given["metadata"]["name"]
        head = f'"component" "operator" "name" "{name}"' + (' "cluster" true' if kind == "ClusterRole" else "")
        version, metadata = "rbac.authorization.k8s.io/v1", _METADATA.format(head)
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}
        subject = (
            f"subjects:\n- kind: ServiceAccount\n  name: fedward-{role}\n  namespace: {{{{ .Release.Namespace }}}}\n"
        )
        for made, content in (
            (kind, _yaml({"rules": given["rules"]})),
            (f"{kind}Binding", _yaml({"roleRef": reference}) + subject),
        ):
            documents.append(f"apiVersion: {version}\nkind: {made}\nmetadata: {metadata}\n{content}")
    # The one name in the rights that a value changes.
    text = "---\n".join(documents).replace(f"- {_AUTHORITY}\n", '- {{ include "fedward.authoritySecret" . }}\n')
    return f"{_made_from(source)}\n{text}"


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=120)


def _schema(chart: str) -> str:
    schema = json.loads((CHARTS / chart / "values.schema.json").read_text())
    schema["definitions"] = json.loads((CHARTS / "shared" / "definitions.json").read_text())
    return json.dumps(schema, indent=2) + "\n"


def _readme(chart: str) -> str:
    text = (CHARTS / chart / "README.md").read_text()
    begins, ends = (text.index(mark) for mark in _VALUES)
    rows = [f"| `{path}` | `{default}` | {meaning} |\n" for path, default, meaning in values(chart)]
    table = "| value | default | meaning |\n|---|---|---|\n" + "".join(rows)
    return f"{text[:begins]}{_VALUES[0]}\n{table}{text[ends:]}"


def values(chart: str) -> Iterator[tuple[str, str, str]]:
    """List the values of a chart: path, default and the comment above it.

    Raises:
        ValueError: a value has no comment.
    """
    source = CHARTS / chart / "values.yaml"
    lines = source.read_text().splitlines()
    root = yaml.compose("\n".join(lines))
    yield from _described(root, yaml.safe_load("\n".join(lines)), "", lines, source)


def _described(
    node: yaml.Node | None, content: Any, above: str, lines: list[str], source: Path
) -> Iterator[tuple[str, str, str]]:
    assert isinstance(node, yaml.MappingNode)
    for key, value in node.value:
        path, inner = f"{above}{key.value}", content[key.value]
        said = list(_comment(lines, key.start_mark.line))
        if _is_described(value, lines):
            yield from _described(value, inner, f"{path}.", lines, source)
        elif said:
            yield path, json.dumps(inner), " ".join(said).replace("|", "\\|")
        else:
            raise ValueError(f"{source}: {path} has no comment that says what it means")


def _is_described(node: yaml.Node, lines: list[str]) -> bool:
    """Tell whether anything inside has a comment of its own."""
    return isinstance(node, yaml.MappingNode) and any(
        list(_comment(lines, key.start_mark.line)) or _is_described(value, lines) for key, value in node.value
    )


def _comment(lines: list[str], key: int) -> Iterator[str]:
    first = key
    while first > 0 and re.match(r"\s*#", lines[first - 1]):
        first -= 1
    for line in lines[first:key]:
        yield line.strip().lstrip("# ")


if __name__ == "__main__":
    generate(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else CHARTS)
