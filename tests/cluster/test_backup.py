"""A hub that was lost is made again in another cluster: its authority is the same, and its hospitals come back."""

from __future__ import annotations

import base64

import pytest
import yaml
from cryptography import x509
from tests.cluster.commands import describe_hub, fedward
from tests.cluster.conftest import control_plane, run_kubectl
from tests.cluster.invitations import Invitation, connected, start_invited
from tests.cluster.operators import GROUP, ROOT, Federation, site_jobs
from tests.kube.waiting import wait_until

pytestmark = pytest.mark.cluster

MAKES = ["--authority-secret=fedward-authority", "--make-authority"]
HEARD = [("True", "Heard")]


@pytest.fixture
def another(federation, tmp_path):
    """A hub of the same federation in an empty cluster, where nobody runs yet."""
    with control_plane(tmp_path / "another", "another") as plane:
        for what in ("apply", "wait"):
            more = [] if what == "apply" else ["--for=condition=Established", "--timeout=30s"]
            assert run_kubectl(plane, what, *more, "-f", str(ROOT / "operator/crds")).returncode == 0
        (tmp_path / "made").mkdir()
        made = Federation(plane, federation.hospital, tmp_path / "made", federation.number)
        try:
            yield made
        finally:
            made.stop()


def kept(federation, site, which):
    """Read a Secret of the hospital."""
    found = federation.hospital.request("GET", f"/api/v1/namespaces/{site}/secrets/{which}")["data"]
    return {file: base64.b64decode(content) for file, content in found.items()}


def authority_of(federation):
    """Read the authority of a hub; none if there is none yet."""
    path = f"/api/v1/namespaces/{federation.system}/secrets?fieldSelector=metadata.name=fedward-authority"
    return next((each["data"] for each in federation.hub.request("GET", path)["items"]), None)


def test_a_hub_made_again_from_its_backup_has_its_hospitals_back_by_new_invitations(federation, another):
    describe_hub(federation.hub, federation.system)
    hub = federation.start_hub(authority=MAKES)
    north = Invitation(federation, "north", displayName="North Hospital")
    site, _ = start_invited(federation, north)
    wait_until("the hub hears it", lambda: connected(federation, north.site), is_it=lambda it: it == HEARD)
    federation.submit("brain", [north.site])
    wait_until("the job reaches the hospital", lambda: site_jobs(federation.hospital, north.site))
    backup = fedward(federation.hub, "backup", "-n", federation.system)
    assert (backup.returncode, "keep it as you keep that" in backup.stderr) == (0, True), backup.stderr
    for each in (hub, site):
        each.kill()

    # As an installation does: there is a hub before there is what it was, with an authority that it made for itself.
    describe_hub(another.hub, another.system)
    another.start_hub(authority=MAKES)
    wait_until("an authority", lambda: authority_of(another))
    restored = run_kubectl(
        another.hub, "apply", "--server-side", "--force-conflicts", "-f", "-", manifest=backup.stdout
    )
    assert restored.returncode == 0, restored.stderr
    assert authority_of(another) == authority_of(federation)
    found = another.hub.request("GET", f"{GROUP}/federatedsites/{north.site}")
    assert found["spec"]["displayName"] == "North Hospital"
    another.wait_for("brain", "Suspended", "True")
    signer = x509.load_pem_x509_certificate(base64.b64decode(authority_of(another)["tls.crt"]))
    before = kept(federation, north.site, "fedward-gateway-tls")
    x509.load_pem_x509_certificate(before["tls.crt"]).verify_directly_issued_by(signer)
    token = kept(federation, north.site, "fedward-hub-access")["token"].decode()
    north.plane = another.hub
    assert north.own_token(token)[0] == 401, "the new cluster knows nobody's token"

    invited = fedward(another.hub, "invite", north.site, "-n", another.system)
    assert invited.returncode == 0, invited.stderr
    values = yaml.safe_load(invited.stdout)
    files = [another.folder / name for name in ("ca", "token")]
    for file, content in zip(files, (values["hub"]["ca"], values["invitation"]["token"]), strict=True):
        file.write_text(content)
    another.start_invited_site(north.site, *files)
    wait_until("the hub hears it", lambda: connected(another, north.site), is_it=lambda it: it == HEARD)
    gateway = x509.load_pem_x509_certificate(kept(federation, north.site, "fedward-gateway-tls")["tls.crt"])
    gateway.verify_directly_issued_by(signer)
    another.patch("brain", {"suspend": False})
    uid = another.found("brain")["metadata"]["uid"]

    def asked():
        items = another.hospital.request("GET", f"{GROUP}/namespaces/{north.site}/sitejobs")["items"]
        return [item["spec"]["job"]["uid"] for item in items]

    wait_until("the job reaches the hospital anew", asked, 60, lambda seen: seen == [uid])
