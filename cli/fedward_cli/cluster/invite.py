"""`fedward invite`: makes room for a hospital at the hub, and the file by which it comes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from textwrap import indent

from fedward_cli.cluster.hub import find_hub
from fedward_cli.cluster.kubectl import ClusterError, Kubectl, Object, apply, find, kubectl
from fedward_cli.cluster.rights import account, mailbox, rights
from fedward_cli.problems import InputError, Problem
from fedward_operator.api.meta import API_VERSION
from fedward_operator.policy import naming
from fedward_operator.policy.joining.naming import INVITATION, MEMBER

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
_TIME = re.compile(r"([1-9][0-9]{0,4})([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}
_SHORTEST = timedelta(minutes=10)
"""The API server gives no token for less."""

_API_SERVER = "kubernetes.default.svc"
"""The name by which the door knows that the API server is meant; it is in every API server's certificate."""


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a hospital needs to join.

    Attributes:
        ca: authority of the hub's API server, PEM.
        token: a secret, good once.
        is_manual: a person of the hub has to let it in.
    """

    site: str
    federation: str
    door: str
    ca: str
    token: str
    expires: str
    is_manual: bool

    def values(self) -> str:
        """Write the values of the site's chart."""
        return f"""\
# Invitation of {self.site} to {self.federation}: values of the chart fedward-site.
# Whoever has the token can join in the hospital's place, once and until it expires: hand this file over on a safe way.
site: {json.dumps(self.site)}
federation: {json.dumps(self.federation)}
hub:
  address: {json.dumps(self.door)}
  serverName: {_API_SERVER}
  ca: |
{indent(self.ca.strip(), "    ")}
invitation:
  token: {json.dumps(self.token)}
  expires: {json.dumps(self.expires)}
"""


def invite(
    site: str,
    namespace: str,
    expires: str = "7d",
    display_name: str | None = None,
    approval: str | None = None,
    is_meant: bool = False,
    run: Kubectl = kubectl,
) -> Invitation:
    """Invite a hospital, or the same one again; an invitation that was given before is dead then.

    Args:
        site: its name in the federation.
        namespace: of the hub.
        expires: when the invitation dies unused: `7d`, `12h`, `30m`.
        display_name: the hospital's name for people; as it was where None.
        approval: `automatic` or `manual`; as it was where None.
        is_meant: also where that ends the membership of a site that has joined.
        run: runs kubectl.

    Raises:
        InputError: the name or the time cannot be used.
        ClusterError: there is no hub, the site was revoked, its membership would end, or kubectl says no.
    """
    check_name(site)
    lasts = _lasting(expires)
    hub = find_hub(run, namespace)
    root = find(run, "configmap", "kube-root-ca.crt", namespace)
    if root is None:
        raise ClusterError(f"the ConfigMap {namespace}/kube-root-ca.crt is missing, which Kubernetes itself keeps")
    before = find(run, "federatedsite", site) or {}
    spec = {**before.get("spec", {})}
    # What is not said stays as it is: whoever revokes the site at this moment has the last word.
    if spec.pop("revoked", False):
        again = f"""kubectl patch federatedsite {site} --type=merge -p '{{"spec":{{"revoked":false}}}}'"""
        raise ClusterError(f"{site} was revoked; if it shall come back, say so first: {again}")
    asked = {"displayName": display_name, "approval": approval}
    spec |= {name: value for name, value in asked.items() if value is not None}
    home, is_manual = naming.mailbox(site), spec.get("approval") == "manual"
    if is_manual:
        _end_membership(site, is_meant, run)
    apply(run, [_federated_site(site, spec), mailbox(site), *rights(site)])
    # With its account every token dies that was given before.
    run(["delete", "serviceaccount", INVITATION, "--ignore-not-found", "--namespace", home])
    apply(run, [account(site)])
    seconds = f"{lasts.total_seconds():.0f}s"
    given = json.loads(run(["create", "token", INVITATION, "--duration", seconds, "-o", "json", "--namespace", home]))
    status = given["status"]
    ca, token, ends = root["data"]["ca.crt"], status["token"], status["expirationTimestamp"]
    return Invitation(site, hub.federation, hub.door, ca, token, ends, is_manual)


def _end_membership(site: str, is_meant: bool, run: Kubectl) -> None:
    """End what the site has: with that, whoever has the invitation would be in without the approval of a person."""
    home = naming.mailbox(site)
    if find(run, "serviceaccount", MEMBER, home) is None:
        return
    if not is_meant:
        text = f"{site} has joined, and a person has to approve it: invited again, it is out until that was done again"
        raise ClusterError(f"{text}; add --yes if that is meant")
    run(["delete", "serviceaccount", MEMBER, "--ignore-not-found", "--namespace", home])


def check_name(site: str) -> None:
    """Check that a site may be called so: every name that follows from it has to fit.

    Raises:
        InputError: it may not.
    """
    if not _NAME.fullmatch(site):
        text = f'"{site}" is no name for a site: lower-case letters, digits and hyphens within, 40 at most'
        raise InputError([Problem("SITE", (), text)])


def _lasting(text: str) -> timedelta:
    match = _TIME.fullmatch(text)
    lasts = timedelta(**{_UNITS[match[2]]: int(match[1])}) if match else timedelta()
    if lasts < _SHORTEST:
        raise InputError([Problem("--expires", (), f'"{text}" is no time of 10m or more; write it as 7d, 12h or 30m')])
    return lasts


def _federated_site(site: str, spec: Object) -> Object:
    return {"apiVersion": API_VERSION, "kind": "FederatedSite", "metadata": {"name": site}, "spec": spec}
