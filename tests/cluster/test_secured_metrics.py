"""An operator whose metrics are by mutual TLS: they are there, and nowhere else."""

from __future__ import annotations

import base64
import ssl
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from tests.cluster.operators import FEDERATION, POLICY, the_pod
from tests.kube.control_plane import free_ports
from tests.kube.waiting import wait_until

from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority

pytestmark = pytest.mark.cluster


def test_a_hub_shows_its_metrics_to_who_has_a_certificate_and_its_probes_to_the_kubelet(federation, tmp_path):
    now, (port,) = datetime.now(UTC), free_ports(1)
    authority = Authority.create(FEDERATION, now)
    for name in ("operator", "prometheus"):
        issued = authority.issue(Identity(FEDERATION, "site", name), ["localhost"], now, timedelta(hours=1))
        issued.write(tmp_path / name)
    context = ssl.create_default_context(cadata=authority.ca_pem.decode())
    context.load_cert_chain(tmp_path / "prometheus/tls.crt", tmp_path / "prometheus/tls.key")

    hub = federation.start_hub(
        more=[f"--secure-metrics=127.0.0.1:{port}", f"--secure-metrics-tls={tmp_path / 'operator'}"]
    )

    wait_until("it is ready", lambda: hub.get("/readyz") == "ready\n")
    assert hub.get("/metrics").startswith("403 ")
    page = urllib.request.urlopen(f"https://localhost:{port}/metrics", timeout=5, context=context).read().decode()
    assert "fedward_operator_leading" in page


def test_the_jobs_pods_are_told_whom_to_show_their_metrics_to_and_so_again_when_that_changes(federation, tmp_path):
    now, (port,) = datetime.now(UTC), free_ports(1)
    theirs = [Authority.create("monitoring", now) for _ in range(2)]
    own = tmp_path / "operator"
    theirs[0].issue(Identity("monitoring", "site", "operator"), ["localhost"], now, timedelta(hours=1)).write(own)
    north = federation.invite("north", POLICY)
    federation.start_hub(more=[f"--secure-metrics=127.0.0.1:{port}", f"--secure-metrics-tls={own}"])
    federation.start_site(north)
    federation.submit("brain", [north])
    federation.wait_for("brain", "Running", "True")

    (container,) = the_pod(federation.hub, federation.namespace, "aggregator")["spec"]["containers"]
    assert "--secure-metrics" in container["args"]
    path = f"/api/v1/namespaces/{federation.namespace}/secrets/brain-aggregator-tls"

    def scrapers():
        return base64.b64decode(federation.hub.request("GET", path)["data"]["scrapers.crt"])

    assert scrapers() == theirs[0].ca_pem
    (own / "ca.crt").write_bytes(theirs[1].ca_pem)
    federation.patch("brain", {"ttlSecondsAfterFinished": 3600})
    wait_until("the pods believe the new one", scrapers, is_it=theirs[1].ca_pem.__eq__)
