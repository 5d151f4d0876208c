"""What the nodes of end-to-end tests let through, by the NetworkPolicies that they are given."""

from __future__ import annotations

import pytest
from tests.kube.network_policies import Scene, rules

LABELS = {"a": {"team": "a"}, "b": {"team": "b"}}


def pod(namespace, name, address, **labels):
    return {"metadata": {"namespace": namespace, "name": name, "labels": labels}, "status": {"podIP": address}}


PODS = [
    pod("a", "trainer", "10.0.0.1", role="trainer"),
    pod("a", "gateway", "10.0.0.2", role="gateway"),
    pod("b", "other", "10.0.0.3", role="gateway"),
]


def policy(types, select=None, **rest):
    return {
        "metadata": {"namespace": "a", "name": "p"},
        "spec": {"podSelector": {"matchLabels": select or {}}, "policyTypes": types, **rest},
    }


def chains(*policies):
    """Write the rules; give each pod's own, by the address and direction that lead to them."""
    lines = rules(Scene(PODS, LABELS, policies)).splitlines()
    heads = {line.split()[-1]: tuple(line.split()[2:4]) for line in lines if line.startswith("-A FW-POLICIES -")}
    found = {head: [] for head in heads.values() if head[0] in ("-s", "-d")}
    for line in lines:
        chain, _, rest = line.removeprefix("-A ").partition(" ")
        if chain in heads and heads[chain] in found:
            found[heads[chain]].append(rest)
    return found


def test_a_pod_that_no_policy_selects_is_left_alone():
    assert chains() == {}


def test_a_policy_without_rules_closes_both_ways_for_those_whom_it_selects():
    found = chains(policy(["Ingress", "Egress"], {"role": "trainer"}))
    assert set(found) == {("-s", "10.0.0.1/32"), ("-d", "10.0.0.1/32")}
    assert all(len(lines) == 1 and lines[0].endswith("-j DROP") for lines in found.values())


@pytest.mark.parametrize(
    ("peer", "allowed"),
    [
        pytest.param({"podSelector": {"matchLabels": {"role": "gateway"}}}, ["10.0.0.2/32"], id="its own namespace's"),
        pytest.param({"namespaceSelector": {}, "podSelector": {}}, [f"10.0.0.{n}/32" for n in (1, 2, 3)], id="all"),
        pytest.param({"namespaceSelector": {"matchLabels": {"team": "b"}}}, ["10.0.0.3/32"], id="another namespace's"),
        pytest.param({"ipBlock": {"cidr": "192.0.2.0/24"}}, ["192.0.2.0/24"], id="a network"),
        pytest.param({"ipBlock": {"cidr": "::/0"}}, [], id="addresses that these nodes do not have"),
        pytest.param(
            {"podSelector": {"matchExpressions": [{"key": "role", "operator": "NotIn", "values": ["trainer"]}]}},
            ["10.0.0.2/32"],
            id="an expression",
        ),
    ],
)
def test_what_may_be_reached_is_whom_a_peer_names(peer, allowed):
    rule = {"to": [peer], "ports": [{"protocol": "TCP", "port": 8443}]}
    lines = chains(policy(["Egress"], {"role": "trainer"}, egress=[rule]))["-s", "10.0.0.1/32"]
    assert lines[:-1] == [f"-d {place} -p tcp --dport 8443 -j RETURN" for place in allowed]
    assert lines[-1].endswith("-j DROP")


def test_several_policies_allow_what_any_of_them_allows():
    first = policy(["Ingress"], {"role": "gateway"}, ingress=[{"from": [{"podSelector": {}}]}])
    second = policy(["Ingress"], {}, ingress=[{"ports": [{"protocol": "UDP", "port": 53}]}])
    lines = chains(first, second)["-d", "10.0.0.2/32"]
    assert lines[:-1] == ["-s 10.0.0.1/32 -j RETURN", "-s 10.0.0.2/32 -j RETURN", "-p udp --dport 53 -j RETURN"]
