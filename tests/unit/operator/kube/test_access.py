"""Ways to an API server: kubeconfigs good and bad, and the files of a pod."""

from __future__ import annotations

import base64
import traceback
from datetime import UTC, datetime

import pytest
import yaml
from tests.kube.certificates import ClusterAuthority

from fedward_operator.kube.access import AccessError, from_kubeconfig, in_cluster


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return ClusterAuthority(tmp_path_factory.mktemp("authority"), datetime.now(UTC))


@pytest.fixture
def document(authority):
    """A kubeconfig whose user has a certificate, all within it."""
    certificate, key = authority.client("fedward", ["operators"])
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "hub",
        "contexts": [
            {"name": "other", "context": {"cluster": "other", "user": "other"}},
            {"name": "hub", "context": {"cluster": "hub", "user": "fedward"}},
        ],
        "clusters": [
            {"name": "other", "cluster": {"server": "https://other.example"}},
            {
                "name": "hub",
                "cluster": {"server": "https://hub.example:6443/", **inline(certificate_authority=authority.ca)},
            },
        ],
        "users": [
            {"name": "other", "user": {}},
            {"name": "fedward", "user": inline(client_certificate=certificate, client_key=key)},
        ],
    }


def inline(**files):
    return {
        f"{name.replace('_', '-')}-data": base64.b64encode(path.read_bytes()).decode() for name, path in files.items()
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "config"


def written(path, document):
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return path


def cluster(document):
    return document["clusters"][1]["cluster"]


def user(document):
    return document["users"][1]["user"]


def test_the_current_context_says_where_whom_to_trust_and_who_we_are(path, document):
    access = from_kubeconfig(written(path, document))

    assert access.server == "https://hub.example:6443"
    assert [each["subject"] for each in access.context.get_ca_certs()] == [((("commonName", "test cluster"),),)]
    assert access.context.check_hostname
    assert (access.server_name, access.bearer()) == (None, None)


def test_files_are_found_beside_the_kubeconfig(path, document, authority):
    certificate, key = authority.client("beside")
    for name, source in (("ca.crt", authority.ca), ("me.crt", certificate), ("me.key", key)):
        (path.parent / name).write_bytes(source.read_bytes())
    document["clusters"][1]["cluster"] = {"server": "https://hub.example", "certificate-authority": "ca.crt"}
    document["users"][1]["user"] = {"client-certificate": "me.crt", "client-key": "me.key"}

    access = from_kubeconfig(written(path, document))

    assert len(access.context.get_ca_certs()) == 1


def test_the_name_on_the_certificate_may_be_another_than_the_address(path, document):
    cluster(document)["tls-server-name"] = "kubernetes"

    assert from_kubeconfig(written(path, document)).server_name == "kubernetes"


def test_a_token_is_taken_from_the_kubeconfig(path, document):
    document["users"][1]["user"] = {"token": "secret"}

    assert from_kubeconfig(written(path, document)).bearer() == "secret"


def test_a_token_file_is_read_each_time(path, document):
    document["users"][1]["user"] = {"tokenFile": "token"}
    (path.parent / "token").write_text("first\n")
    access = from_kubeconfig(written(path, document))
    assert access.bearer() == "first"

    (path.parent / "token").write_text("second\n")
    assert access.bearer() == "second"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"], ids=["missing", "no text"])
def test_a_token_file_that_cannot_be_read_is_named(path, document, content):
    document["users"][1]["user"] = {"tokenFile": "token"}
    if content is not None:
        (path.parent / "token").write_bytes(content)

    with pytest.raises(AccessError, match="token cannot be read"):
        from_kubeconfig(written(path, document)).bearer()


def test_a_kubeconfig_that_is_not_there_is_named(path):
    with pytest.raises(AccessError, match=f"the kubeconfig {path} cannot be read: No such file"):
        from_kubeconfig(path)


@pytest.mark.parametrize(
    ("place", "name"), [(cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key")]
)
def test_a_file_that_a_kubeconfig_names_and_that_is_not_there_is_named(path, document, place, name):
    del place(document)[f"{name}-data"]
    place(document)[name] = "missing.pem"

    with pytest.raises(AccessError) as error:
        from_kubeconfig(written(path, document))

    assert str(path) in str(error.value)
    assert str(path.parent / "missing.pem") in str(error.value)
    assert "No such file" in str(error.value)


@pytest.mark.parametrize(
    ("place", "name"), [(cluster, "certificate-authority"), (user, "client-certificate"), (user, "client-key")]
)
@pytest.mark.parametrize("content", ["!!!", base64.b64encode(b"no PEM").decode(), "/w==", 5, None])
def test_a_certificate_that_is_none_is_refused_with_the_files_name(path, document, place, name, content):
    place(document)[f"{name}-data"] = content

    with pytest.raises(AccessError) as error:
        from_kubeconfig(written(path, document))

    assert str(path) in str(error.value)


def test_a_certificate_may_be_broken_into_lines(path, document):
    cluster(document)["certificate-authority-data"] = "\n".join(
        cluster(document)["certificate-authority-data"][n : n + 60] for n in range(0, 2000, 60)
    )

    assert len(from_kubeconfig(written(path, document)).context.get_ca_certs()) == 1


def spoiled(spoil):
    def of(document):
        spoil(document)
        return document

    return of


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda _: "{", id="no YAML"),
        pytest.param(lambda _: "[]", id="a list"),
        pytest.param(lambda _: "hello", id="a string"),
        pytest.param(spoiled(lambda it: it.pop("current-context")), id="no current context"),
        pytest.param(spoiled(lambda it: it.update({"current-context": "gone"})), id="an unknown context"),
        pytest.param(spoiled(lambda it: it.update(contexts=None)), id="no contexts"),
        pytest.param(spoiled(lambda it: it["contexts"][1].update(context=None)), id="an empty context"),
        pytest.param(spoiled(lambda it: it["contexts"].insert(0, "x")), id="a context that is a string"),
        pytest.param(spoiled(lambda it: it["contexts"][1]["context"].update(cluster="gone")), id="an unknown cluster"),
        pytest.param(spoiled(lambda it: it["contexts"][1]["context"].update(user="gone")), id="an unknown user"),
        pytest.param(spoiled(lambda it: it.update(users=None)), id="no users"),
        pytest.param(spoiled(lambda it: it["users"][1].update(user=None)), id="an empty user"),
        pytest.param(spoiled(lambda it: it["users"][1].update(user="me")), id="a user that is a string"),
        pytest.param(spoiled(lambda it: it["users"][1].update(user={"tokenFile": 5})), id="a file that is a number"),
        pytest.param(spoiled(lambda it: cluster(it).pop("server")), id="no server"),
        pytest.param(spoiled(lambda it: cluster(it).update(server=None)), id="a server that is null"),
        pytest.param(spoiled(lambda it: cluster(it).update(server=6443)), id="a server that is a number"),
    ],
)
def test_what_is_no_kubeconfig_is_said_so_and_named(path, document, spoil):
    with pytest.raises(AccessError) as error:
        from_kubeconfig(written(path, spoil(document)))

    assert str(path) in str(error.value)


def test_a_kubeconfig_that_is_no_text_is_refused(path):
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(AccessError, match="is no kubeconfig"):
        from_kubeconfig(path)


def test_no_token_shows_in_what_is_said_about_a_broken_kubeconfig_or_an_access(path, document):
    token = "-".join(("very", "secret"))
    written(path, f"users:\n- user: {{token: {token}: x\n")
    with pytest.raises(AccessError) as error:
        from_kubeconfig(path)
    assert token not in "".join(traceback.format_exception(error.value))

    document["users"][1]["user"] = {"token": token}
    assert token not in repr(from_kubeconfig(written(path, document)))


@pytest.fixture
def pod(tmp_path, authority, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    (tmp_path / "ca.crt").write_bytes(authority.ca.read_bytes())
    (tmp_path / "token").write_text("mine\n")
    return tmp_path


def test_a_pod_finds_its_own_clusters_api_server(pod):
    access = in_cluster(pod)

    assert (access.server, access.bearer()) == ("https://10.0.0.1:6443", "mine")
    assert len(access.context.get_ca_certs()) == 1


def test_an_address_with_colons_is_written_as_urls_want_it(pod, monkeypatch):
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.delenv("KUBERNETES_SERVICE_PORT")

    assert in_cluster(pod).server == "https://[fd00::1]:443"


def test_outside_a_pod_it_is_said_what_to_do(pod, monkeypatch):
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")

    with pytest.raises(AccessError, match="--kubeconfig"):
        in_cluster(pod)


def test_a_pod_without_a_token_is_told_so(pod):
    (pod / "token").unlink()

    with pytest.raises(AccessError, match="--kubeconfig"):
        in_cluster(pod)


@pytest.mark.parametrize("content", [None, "no PEM"])
def test_a_pod_whose_authority_cannot_be_read_is_told_which_file(pod, content):
    if content is None:
        (pod / "ca.crt").unlink()
    else:
        (pod / "ca.crt").write_text(content)

    with pytest.raises(AccessError, match=r"ca\.crt cannot be read"):
        in_cluster(pod)


def test_a_login_by_another_program_is_not_mistaken_for_none(path, document):
    document["users"][1]["user"] = {"exec": {"command": "login"}}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(AccessError, match="logs in by another program"):
        from_kubeconfig(path)
