"""What NetworkPolicies allow, as rules of a packet filter: pure, from what the API server says to iptables lines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CHAIN = "FW-POLICIES"
_ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED"

Document = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What a cluster says: pods that have an address, the labels of namespaces, the policies."""

    pods: Sequence[Document]
    namespaces: Mapping[str, Mapping[str, str]]
    policies: Sequence[Document]


def rules(scene: Scene) -> str:
    """Write the input of `iptables-restore --noflush`: new connections that no policy allows are dropped.

    Answers to what was allowed pass. Who is sent something is judged after who sends it.
    """
    entries = [f"-A {CHAIN} {_ESTABLISHED} -j RETURN"]
    chains: list[str] = []
    lines: list[str] = []
    for direction, match in (("Egress", "-s"), ("Ingress", "-d")):
        for number, pod in enumerate(scene.pods):
            selecting = [policy for policy in scene.policies if _selects(policy, pod, direction)]
            if not selecting:
                continue
            chain = f"FW-{direction[0]}-{number}"
            chains.append(chain)
            entries.append(f"-A {CHAIN} {match} {_address(pod)}/32 -j {chain}")
            for policy in selecting:
                lines += [f"-A {chain} {allowed} -j RETURN" for allowed in _allowed(policy, direction, scene)]
            lines.append(f'-A {chain} -m comment --comment "{_name(pod)}" -j DROP')
    declared = [f":{chain} - [0:0]" for chain in (CHAIN, *chains)]
    return "\n".join(["*filter", *declared, *entries, *lines, "COMMIT", ""])


def _allowed(policy: Document, direction: str, scene: Scene) -> Iterator[str]:
    towards, key, match = ("to", "egress", "-d") if direction == "Egress" else ("from", "ingress", "-s")
    for rule in policy["spec"].get(key) or ():
        peers = rule.get(towards) or ()
        if peers:
            where = [text for peer in peers for text in _peer(peer, policy["metadata"]["namespace"], match, scene)]
        else:
            where = [""]
        for place in where:
            for port in _ports(rule.get("ports") or ()):
                yield f"{place} {port}".strip()


def _peer(peer: Document, namespace: str, match: str, scene: Scene) -> Iterator[str]:
    if "ipBlock" in peer:
        if ":" not in peer["ipBlock"]["cidr"]:
            yield f"{match} {peer['ipBlock']['cidr']}"
        return
    for pod in scene.pods:
        within = pod["metadata"]["namespace"]
        if "namespaceSelector" in peer:
            if not _matches(peer["namespaceSelector"], scene.namespaces.get(within, {})):
                continue
        elif within != namespace:
            continue
        if _matches(peer.get("podSelector") or {}, pod["metadata"].get("labels") or {}):
            yield f"{match} {_address(pod)}/32"


def _ports(ports: Sequence[Document]) -> Iterator[str]:
    if not ports:
        yield ""
    for port in ports:
        protocol = port.get("protocol", "TCP").lower()
        yield f"-p {protocol} --dport {port['port']}" if "port" in port else f"-p {protocol}"


def _selects(policy: Document, pod: Document, direction: str) -> bool:
    spec = policy["spec"]
    return (
        policy["metadata"]["namespace"] == pod["metadata"]["namespace"]
        and direction in (spec.get("policyTypes") or ["Ingress"])
        and _matches(spec["podSelector"], pod["metadata"].get("labels") or {})
    )


def _matches(selector: Document, labels: Mapping[str, str]) -> bool:
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_holds(each, labels) for each in selector.get("matchExpressions") or ())


def _holds(expression: Document, labels: Mapping[str, str]) -> bool:
    key, operator, values = expression["key"], expression["operator"], expression.get("values") or ()
    if operator in ("Exists", "DoesNotExist"):
        return (key in labels) == (operator == "Exists")
    return (labels.get(key) in values) == (operator == "In")


def _address(pod: Document) -> str:
    return str(pod["status"]["podIP"])


def _name(pod: Document) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"[:200]
