"""What the hub gives an invited site: its mailbox namespace, and what it may do there and in the whole cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

import yaml

from fedward_operator.policy import naming
from fedward_operator.policy.joining.naming import INVITATION, MEMBER

Manifest = dict[str, Any]

_RBAC = "rbac.authorization.k8s.io"


def mailbox(site: str) -> Manifest:
    """Make the namespace; nothing ever runs there."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "app.kubernetes.io/part-of": "fedward"}
    metadata = {"name": naming.mailbox(site), "labels": labels}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def account(site: str) -> Manifest:
    """Make the account of an invitation."""
    metadata = {"namespace": naming.mailbox(site), "name": INVITATION}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "automountServiceAccountToken": False}


def rights(site: str) -> list[Manifest]:
    """Make the roles of the invitation and of the site, and bind them to their accounts."""
    invitation, in_cluster = _read("invitation.yaml", site)
    (member,) = _read("mailbox.yaml", site)
    return [
        *_granted(invitation, site, [INVITATION]),
        *_granted(member, site, [MEMBER]),
        *_granted(in_cluster, site, [INVITATION, MEMBER]),
    ]


def _read(file: str, site: str) -> list[Manifest]:
    text = resources.files(__package__).joinpath(file).read_text()
    return list(yaml.safe_load_all(text.replace("SITE", site)))


def _granted(role: Manifest, site: str, accounts: Sequence[str]) -> Iterator[Manifest]:
    kind, home = role["kind"], naming.mailbox(site)
    within = {} if kind == "ClusterRole" else {"namespace": home}
    metadata = {**role["metadata"], **within}
    yield {**role, "metadata": metadata}
    yield {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", "namespace": home, "name": each} for each in accounts],
    }
