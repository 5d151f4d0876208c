"""Which values a chart takes, and what it says of those that it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.charts.helm import CHARTS, HelmError, render

pytestmark = pytest.mark.charts

WRONG: list[tuple[str, dict[str, Any], str]] = [
    # What has to be said.
    ("hub", {"domain": ""}, "domain: name the federation, for example --set domain=fed.example.org"),
    ("site", {"site": ""}, "site: name the hospital as the federation does"),
    ("site", {"federation": ""}, "federation: name the federation's domain"),
    ("site", {"hub": {"address": ""}}, "hub.address: say where the hub is, host:port"),
    ("site", {"hub": {"ca": ""}}, "hub.ca: give the authority of the hub's API server, PEM"),
    # Values that nobody reads.
    ("hub", {"domian": "x"}, "additional properties 'domian' not allowed"),
    ("hub", {"door": {"replica": 2}}, "at '/door': additional properties 'replica' not allowed"),
    ("site", {"gateway": {"replicas": 2}}, "at '/gateway': additional properties 'replicas' not allowed"),
    ("site", {"images": {"gateway": {"pullPolicy": "Always"}}}, "additional properties 'pullPolicy' not allowed"),
    ("hub", {"operator": {"resources": {"limit": {}}}}, "at '/operator/resources': additional properties 'limit'"),
    ("site", {"operator": {"tolerations": [{"keys": "a"}]}}, "at '/operator/tolerations/0': additional properties"),
    # Names and addresses.
    ("hub", {"domain": "Fed.Example.org"}, "at '/domain': 'Fed.Example.org' does not match pattern"),
    ("hub", {"domain": "https://fed.example.org"}, "at '/domain'"),
    ("hub", {"domain": "a." * 80 + "org"}, "at '/domain': maxLength: got 163, want 140"),
    ("site", {"site": "North Hospital"}, "at '/site': 'North Hospital' does not match pattern"),
    ("site", {"site": "n" * 41}, "at '/site': maxLength: got 41, want 40"),
    ("site", {"hub": {"address": "fed.example.org"}}, "at '/hub/address': 'fed.example.org' does not match pattern"),
    ("site", {"hub": {"address": "https://fed.example.org:443"}}, "at '/hub/address'"),
    ("site", {"hub": {"ca": "MIIB"}}, "at '/hub/ca': 'MIIB' does not match pattern"),
    ("site", {"proxy": {"url": "proxy.hospital.example:3128"}}, "at '/proxy/url'"),
    ("site", {"proxy": {"url": "http://user:word@proxy.hospital.example:3128"}}, "at '/proxy/url'"),
    ("hub", {"authority": {"existingSecret": "Our_Authority"}}, "at '/authority/existingSecret'"),
    ("hub", {"door": {"resolver": "10.96.0.10; include /etc/passwd"}}, "at '/door/resolver'"),
    ("site", {"clusterDomain": ""}, "at '/clusterDomain': '' does not match pattern"),
    # Numbers, sizes and times.
    ("hub", {"door": {"port": 70000}}, "at '/door/port': maximum: got 70,000, want 65,535"),
    ("hub", {"door": {"port": "443"}}, "at '/door/port': got string, want integer"),
    ("hub", {"door": {"service": {"loadBalancerSourceRanges": ["192.0.2.7"]}}}, "loadBalancerSourceRanges/0'"),
    ("hub", {"door": {"replicas": 0}}, "at '/door/replicas': minimum: got 0, want 1"),
    ("hub", {"operator": {"replicas": 3}}, "at '/operator/replicas': maximum: got 3, want 2"),
    ("hub", {"aggregator": {"storage": "20 GB"}}, "at '/aggregator/storage': '20 GB' does not match pattern"),
    ("site", {"gateway": {"state": {"size": "lots"}}}, "at '/gateway/state/size': 'lots' does not match pattern"),
    ("site", {"gateway": {"resources": {"limits": {"memory": "2GB"}}}}, "at '/gateway/resources/limits/memory'"),
    ("hub", {"sites": {"certificateLife": "30d"}}, "at '/sites/certificateLife': '30d' does not match pattern"),
    ("hub", {"sites": {"certificateLife": "1h30m"}}, "at '/sites/certificateLife': '1h30m' does not match pattern"),
    (
        "hub",
        {"metrics": {"serviceMonitor": {"interval": "30"}}},
        "at '/metrics/serviceMonitor/interval': '30' does not",
    ),
    (
        "site",
        {"metrics": {"serviceMonitors": {}}},
        "at '/metrics': additional properties 'serviceMonitors' not allowed",
    ),
    (
        "hub",
        {"metrics": {"rules": {"enabled": "yes"}}},
        "at '/metrics/rules/enabled': got string, want null or boolean",
    ),
    ("site", {"metrics": {"rules": {"runbookUrl": "docs"}}}, "at '/metrics/rules/runbookUrl': 'docs' does not match"),
    ("site", {"dashboards": {"labelValue": 1}}, "at '/dashboards/labelValue': got number, want string"),
    ("site", {"tracing": {"endpoint": "collector:4317"}}, "at '/tracing/endpoint': 'collector:4317' does not match"),
    ("hub", {"tracing": {"collectors": []}}, "at '/tracing/collectors': minItems: got 0, want 1"),
    ("hub", {"tracking": {"servers": []}}, "at '/tracking/servers': minItems: got 0, want 1"),
    # Images.
    ("hub", {"images": {"door": {"digest": "sha256:abc"}}}, "at '/images/door/digest': 'sha256:abc' does not match"),
    ("site", {"images": {"trainer": {"repository": "Fedward/Trainer"}}}, "at '/images/trainer/repository'"),
    ("site", {"images": {"trainer": {"tag": "a b"}}}, "at '/images/trainer/tag'"),
    ("hub", {"global": {"imageRegistry": "https://registry.example"}}, "at '/global/imageRegistry'"),
    ("hub", {"global": {"imagePullSecrets": ["registry"]}}, "at '/global/imagePullSecrets/0': got string, want object"),
    ("hub", {"imagePullPolicy": "always"}, "at '/imagePullPolicy': value must be one of"),
    # Lists and maps.
    ("hub", {"commonLabels": {"cost-centre": 4711}}, "at '/commonLabels/cost-centre': got number, want string"),
    ("site", {"operator": {"env": [{"value": "x"}]}}, "at '/operator/env/0': missing property 'name'"),
    ("hub", {"operator": {"topologySpreadConstraints": [{"maxSkew": 1}]}}, "missing properties 'topologyKey'"),
    ("hub", {"networkPolicy": {"scrapers": [{}]}}, "at '/networkPolicy/scrapers/0': minProperties: got 0, want 1"),
    ("hub", {"networkPolicy": {"apiServer": {"cidrs": []}}}, "at '/networkPolicy/apiServer/cidrs': minItems"),
    ("site", {"networkPolicy": {"hub": {"cidrs": ["hub.example"]}}}, "at '/networkPolicy/hub/cidrs/0'"),
    ("site", {"networkPolicy": {"enabled": "false"}}, "at '/networkPolicy/enabled': got string, want boolean"),
    # What does not go together.
    ("hub", {"door": {"tlsRoute": {"enabled": True}}}, "at '/door/tlsRoute/parentRefs': minItems: got 0, want 1"),
    ("hub", {"door": {"ingress": {"enabled": True}}}, "at '/door/ingress/hosts': minItems: got 0, want 1"),
    ("hub", {"authority": {"certManager": {"enabled": True}}}, "/issuerRef': missing property 'name'"),
    (
        "hub",
        {"authority": {"existingSecret": "ours", "certManager": {"enabled": True, "issuerRef": {"name": "x"}}}},
        "authority: give existingSecret or enable certManager, not both",
    ),
    (
        "hub",
        {"metrics": {"serviceMonitor": {"enabled": True}, "tls": {"existingSecret": "ours", "serverName": "x"}}},
        "metrics.tls: give serverName, which the certificate holds, and scraperSecret, which Prometheus shows",
    ),
    (
        "site",
        {"proxy": {"existingSecret": "proxy"}},
        "networkPolicy.hub.ports: give the proxy's port, for its address is in a Secret",
    ),
]


@pytest.mark.parametrize(("part", "values", "message"), WRONG, ids=[f"{row[0]}-{json.dumps(row[1])}" for row in WRONG])
def test_a_wrong_value_is_refused_with_its_name(part: str, values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError) as refused:
        render(part, values=values)
    assert message in str(refused.value)


@pytest.mark.parametrize("part", CHARTS)
def test_every_value_that_may_be_given_is_there_with_its_default(part: str) -> None:
    values = yaml.safe_load((CHARTS[part] / "values.yaml").read_text())
    schema = json.loads((CHARTS[part] / "values.schema.json").read_text())

    # A value that is a form of Kubernetes' own has no default for each of its fields.
    forms = {"resources", "affinity", "issuerRef"}
    assert set(_allowed(schema, schema, forms)) == set(_given(values, schema, schema, forms))


def _resolved(schema: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref", "")
    return whole["definitions"][reference.rpartition("/")[2]] if reference else schema


def _allowed(schema: dict[str, Any], whole: dict[str, Any], forms: set[str], path: str = "") -> Iterator[str]:
    for name, inner in _resolved(schema, whole).get("properties", {}).items():
        yield f"{path}.{name}"
        if name not in forms:
            yield from _allowed(inner, whole, forms, f"{path}.{name}")


def _given(
    values: object, schema: dict[str, Any], whole: dict[str, Any], forms: set[str], path: str = ""
) -> Iterator[str]:
    properties = _resolved(schema, whole).get("properties", {})
    for name, inner in values.items() if isinstance(values, dict) and properties else ():
        yield f"{path}.{name}"
        if name not in forms:
            yield from _given(inner, properties.get(name, {}), whole, forms, f"{path}.{name}")
