"""A whole look at a hospital and at a hub, with real servers in the place of each part; and the command's exit code."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from importlib.metadata import version

import pytest
from servers import HangsUp
from tests.kube.control_plane import free_ports

from fedward_operator.checks import hub as hub_check
from fedward_operator.checks import room
from fedward_operator.checks import site as site_check
from fedward_operator.checks.cluster import Cluster
from fedward_operator.checks.finding import Level
from fedward_operator.kube.access import Access
from fedward_operator.main import main
from fedward_protocol.identity import Identity
from fedward_protocol.pki import Authority, Credentials

GROUP = "/apis/fedward.io/v1alpha1"
MAILBOX = f"{GROUP}/namespaces/fedward-site-north/sitejobs"
POLICIES = f"{GROUP}/namespaces/fedward/sitepolicies"
API_SERVER = "kubernetes.default.svc"


def condition(kind, status="True", reason="Because"):
    return {"type": kind, "status": status, "reason": reason, "message": "so it is"}


def policy():
    status = {"observedGeneration": 1, "conditions": [condition("Ready"), condition("DataSound")]}
    return {"metadata": {"name": "north", "generation": 1}, "spec": {}, "status": status}


class Hospital:
    """Everything that a site's check looks at; a test breaks what it likes."""

    def __init__(self, tmp_path, web, issue, authority):
        self._folder = tmp_path
        site = {"metadata": {"name": "north"}, "status": {"conditions": [condition("Connected")]}}
        site["status"]["hubVersion"] = version("fedward")
        answers = {MAILBOX: (200, {"items": []}), f"{GROUP}/federatedsites/north": (200, site)}
        self.hub = web(answers, issue(names=[API_SERVER]))
        self.api = web({POLICIES: (200, {"items": [policy()]})}, issue(names=["localhost"]))
        self.operator = web({"/readyz": (200, "ready")})
        metrics = f'{room.FREE}{{volume="state"}} 9e9\n{room.SIZE}{{volume="state"}} 1e10\n'
        self.metrics = web({"/readyz": (200, "ready"), "/metrics": (200, metrics)})
        self.gateway = web(credentials=issue("site/north", ["gateway.north.fed.example.org"]))
        self.member = tmp_path / "member"
        held = issue("site/north")
        Credentials(held.cert_pem, held.key_pem, held.ca_pem).write(self.member)
        (self.member / "token").write_text("t0ken\n")
        self.hub_ca = tmp_path / "hub-ca.crt"
        self.hub_ca.write_bytes(authority.ca_pem)
        self.hub_address, self.environment, self.context = self.hub.address, {}, ssl.create_default_context()
        self.context.load_verify_locations(self.hub_ca)

    def look(self):
        site = site_check.Site(
            identity=Identity("fed.example.org", "site", "north"),
            namespace="fedward",
            hub=self.hub_address,
            hub_ca=self.hub_ca,
            server_name=API_SERVER,
            member=self.member,
            operator=self.operator.address,
            gateway=self.gateway.address,
            gateway_metrics=self.metrics.address,
        )
        cluster = Cluster(Access(f"https://{self.api.address}", self.context, "localhost", token="mine", is_local=True))
        found = site_check.look(site, cluster, self.environment, lambda: datetime.now(UTC))
        return {each.about: each for each in found}


@pytest.fixture
def hospital(tmp_path, web, issue, authority):
    return Hospital(tmp_path, web, issue, authority)


def levels(found):
    return {about: each.level for about, each in found.items()}


def broken(found):
    return {about: each.reason for about, each in found.items() if each.level is Level.WRONG}


ABOUTS = [
    "name of the hub",
    "door of the hub",
    "TLS to the hub",
    "clock",
    "token at the hub",
    "heard by the hub",
    "versions",
    "certificate of the site",
    "operator",
    "gateway",
    "TLS to the gateway",
    "room of the gateway: state",
    "policy",
    "datasets",
    "GPUs",
]


def test_a_hospital_that_works_is_looked_at_from_the_hubs_name_to_its_own_data(hospital):
    found = hospital.look()

    assert list(found) == ABOUTS
    assert levels(found) == dict.fromkeys(ABOUTS, Level.OK) | {"GPUs": Level.SKIPPED}
    assert hospital.hub.asked[0] == (f"{MAILBOX}?limit=1", "Bearer t0ken")
    assert hospital.api.asked == [(POLICIES, "Bearer mine")]


def test_what_lies_behind_a_rung_that_breaks_is_not_blamed(hospital):
    hospital.hub_address = f"127.0.0.1:{free_ports(1)[0]}"
    found = hospital.look()

    assert broken(found) == {"door of the hub": "Unreachable"}
    assert list(found) == ABOUTS
    assert {about for about, level in levels(found).items() if level is Level.SKIPPED} == {*ABOUTS[2:7], "GPUs"}


def test_an_authority_of_somebody_else_is_found(hospital, now):
    hospital.hub_ca.write_bytes(Authority.create("x.org", now).ca_pem)
    assert broken(hospital.look()) == {"TLS to the hub": "CertificateUntrusted"}


@pytest.mark.parametrize("content", [None, "no PEM"], ids=["missing", "no PEM"])
def test_an_authority_that_cannot_be_read_is_said_so(hospital, content):
    hospital.hub_ca.unlink()
    if content:
        hospital.hub_ca.write_text(content)
    found = hospital.look()

    assert broken(found) == {"TLS to the hub": "CertificateUntrusted"}
    assert "fedward-hub-ca" in found["TLS to the hub"].then


def test_a_proxy_that_cannot_be_used_is_said_so(hospital):
    hospital.environment = {"HTTPS_PROXY": "socks5://proxy.example:1080"}
    found = hospital.look()

    assert broken(found) == {"door of the hub": "ProxyInvalid"}
    assert set(found) == set(ABOUTS)


def test_a_site_that_has_not_joined_is_told_so_once(hospital):
    for file in hospital.member.iterdir():
        file.unlink()
    found = hospital.look()

    assert broken(found) == {"certificate of the site": "NotJoined"}
    assert found["clock"].level is Level.OK
    assert found["token at the hub"].level is Level.SKIPPED


def test_a_revoked_site_is_told_so(hospital):
    hospital.hub.answers[MAILBOX] = (401, {"message": "Unauthorized"})
    hospital.hub.answers[f"{GROUP}/federatedsites/north"] = (401, {"message": "Unauthorized"})

    assert broken(hospital.look()) == {"token at the hub": "TokenRefused"}


def test_a_gateway_that_is_not_ready_has_nothing_else_said_of_it(hospital):
    hospital.metrics.answers["/readyz"] = (503, "the folder of the state cannot be written: No space left on device")
    found = hospital.look()

    assert broken(found) == {"gateway": "NotReady"}
    assert "No space left" in found["gateway"].said
    assert found["TLS to the gateway"].level is Level.SKIPPED


@pytest.mark.parametrize("answer", [(403, {"reason": "Forbidden", "message": "may not list"}), (200, "no JSON")])
def test_an_api_server_that_shows_no_policy_is_a_finding(hospital, answer):
    hospital.api.answers[POLICIES] = answer

    assert broken(hospital.look()) == {"policy": "NotAnswered"}


class Hub:
    """Everything that a hub's check looks at."""

    def __init__(self, tmp_path, web, issue, authority):
        self.authority = tmp_path / "authority"
        self.authority.mkdir()
        (self.authority / "tls.crt").write_bytes(authority.ca_pem)
        (self.authority / "ca.crt").write_bytes(authority.trusted_pem)
        slices = {"items": [{"endpoints": [{"conditions": {"ready": True}}]}]}
        classes = {"items": [{"metadata": {"name": "fast", "annotations": {}}}]}
        site = {"metadata": {"name": "north"}, "status": {"conditions": [condition("Connected")], "version": "0.1.0"}}
        self.sites = {"items": [site]}
        answers = {
            "/apis/discovery.k8s.io/v1/namespaces/fedward/endpointslices": (200, slices),
            "/apis/storage.k8s.io/v1/storageclasses": (200, classes),
            f"{GROUP}/federatedsites": (200, self.sites),
        }
        for kind in hub_check.kinds_installed.KINDS:
            made = hub_check.kinds_installed.definition(kind) | {"status": {"conditions": [condition("Established")]}}
            answers[hub_check.DEFINITION.format(kind.plural)] = (200, made)
        self.api = web(answers, issue(names=[API_SERVER]))
        self.door, self.operator = self.api, web({"/readyz": (200, "ready")})
        self.address, self.storage_class = "localhost:443", "fast"
        self._context = ssl.create_default_context(cadata=authority.ca_pem.decode())

    def look(self):
        hub = hub_check.Hub(
            federation="fed.example.org",
            namespace="fedward",
            address=self.address,
            door=self.door.address,
            operator=self.operator.address,
            authority=self.authority,
            storage_class=self.storage_class,
        )
        cluster = Cluster(Access(f"https://{self.api.address}", self._context, API_SERVER, is_local=True))
        return {each.about: each for each in hub_check.look(hub, cluster, lambda: datetime.now(UTC))}


@pytest.fixture
def hub(tmp_path, web, issue, authority):
    return Hub(tmp_path, web, issue, authority)


def test_a_hub_is_looked_at_from_its_door_to_its_sites(hub):
    found = hub.look()

    # A plain server in the door's place answers whoever asks, which is what the check is there to notice.
    assert broken(found) == {"names that are nobody's": "DoorPassesAnyName"}
    assert {each.level for about, each in found.items() if about not in broken(found)} == {Level.OK}
    assert "site north" in found
    assert len(found) == 12


def test_what_is_wrong_with_a_hub_is_found_part_by_part(hub):
    (hub.authority / "tls.crt").unlink()
    hub.operator.answers.clear()
    hub.storage_class, hub.address = None, "hub.invalid:443"
    hub.sites["items"] = []
    hub.api.answers["/apis/discovery.k8s.io/v1/namespaces/fedward/endpointslices"] = (200, {"items": []})
    del hub.api.answers[hub_check.DEFINITION.format("sitejobs")]
    hub.door = HangsUp()
    try:
        found = hub.look()
    finally:
        hub.door.close()

    assert broken(found) == {
        "pods of the door": "DoorWithoutPods",
        "API server through the door": "TlsFailed",
        "operator": "NotReady",
        "authority": "AuthorityMissing",
        "kind SiteJob": "KindMissing",
        "storage class": "StorageClassMissing",
    }
    assert (found["address of the hub"].level, found["address of the hub"].reason) == (Level.WARNING, "NameUnresolved")
    assert found["names that are nobody's"].level is Level.OK
    assert "fedward invite" in found["sites"].said


def test_a_hub_whose_rights_are_missing_is_told_which(hub):
    for path in (f"{GROUP}/federatedsites", "/apis/storage.k8s.io/v1/storageclasses"):
        hub.api.answers[path] = (403, {"reason": "Forbidden", "message": "may not list"})
    found = hub.look()

    assert {"sites": "NotAnswered", "storage class": "NotAnswered"}.items() <= broken(found).items()
    assert "may not list" in found["sites"].said


def test_a_site_of_an_old_version_is_noticed_at_the_hub(hub):
    hub.sites["items"][0]["status"]["version"] = "0.9.0"

    assert hub.look()["version of north"].reason == "VersionSkew"


def kubeconfig(folder, address, ca):
    cluster = {"server": f"https://{address}", "certificate-authority": str(ca), "tls-server-name": "localhost"}
    document = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": cluster}],
        "users": [{"name": "x", "user": {"token": "mine"}}],
    }
    (folder / "kubeconfig").write_text(json.dumps(document))
    return folder / "kubeconfig"


def test_the_command_prints_what_it_found_and_ends_by_that(hospital, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    arguments = [
        *("check", "site", "--site=north", "--federation=fed.example.org", "--namespace=fedward"),
        *(f"--hub={hospital.hub.address}", f"--hub-ca={hospital.hub_ca}", f"--hub-server-name={API_SERVER}"),
        *(f"--member={hospital.member}", f"--operator={hospital.operator.address}"),
        *(f"--gateway={hospital.gateway.address}", f"--gateway-metrics={hospital.metrics.address}"),
        f"--kubeconfig={kubeconfig(tmp_path, hospital.api.address, hospital.hub_ca)}",
    ]
    assert main(arguments) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 skipped, 14 ok"

    hospital.api.answers[POLICIES] = (200, {"items": []})
    assert main(arguments) == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].startswith("wrong    policy: NoSitePolicy: there is none in fedward")
    assert "         see:  docs/troubleshooting.md#nositepolicy" in printed
    assert main([*arguments, "--kubeconfig=/nowhere"]) == 2


def test_a_clock_that_is_five_minutes_off_is_found(hospital, web, issue):
    hospital.hub_address = web(hospital.hub.answers, issue(names=[API_SERVER]), timedelta(minutes=-5)).address

    assert broken(hospital.look()) == {"clock": "ClockSkewed"}
