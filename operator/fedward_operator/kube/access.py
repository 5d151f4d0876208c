"""How to reach an API server: its address, whom to trust, and as whom to speak. Tokens and files may be rotated."""

from __future__ import annotations

import base64
import os
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from fedward_protocol.proxy import Proxy, ProxyError, proxy_to

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class AccessError(Exception):
    """There is no way to an API server, or the kubeconfig does not describe one; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Access:
    """A way to an API server.

    Attributes:
        server: its URL.
        context: whom to trust, and our client certificate, if we have one.
        server_name: the name that its certificate is checked against, where it is not the URL's.
        token_file: read again for each new connection and after a 401: Kubernetes rotates it.
        token: where it does not rotate.
        is_local: it is the API server of the cluster that we run in, so that no proxy is on the way.
    """

    server: str
    context: ssl.SSLContext
    server_name: str | None = None
    token_file: Path | None = None
    token: str | None = field(default=None, repr=False)
    is_local: bool = False

    def bearer(self) -> str | None:
        """Read the token.

        Raises:
            AccessError: its file cannot be read.
        """
        if self.token_file is None:
            return self.token
        try:
            return self.token_file.read_text().strip()
        except (OSError, ValueError) as error:
            raise AccessError(f"the token {self.token_file} cannot be read: {_why(error)}") from error

    def proxy(self) -> Proxy | None:
        """Find the HTTP proxy on the way, as the environment names it.

        Raises:
            AccessError: it names one that cannot be used.
        """
        url = urlsplit(self.server)
        if self.is_local or url.scheme != "https" or url.hostname is None:
            return None
        try:
            return proxy_to(url.hostname, url.port or 443, os.environ)
        except ProxyError as error:
            raise AccessError(str(error)) from error


def believing(*, cafile: Path | None = None, cadata: str | None = None) -> ssl.SSLContext:
    """Make a context that believes the authorities (PEM) of a file or a text; the system's own where neither is given.

    Also those below another which is not among them, such as a company's: as gRPC and Kubernetes' own clients do.

    Raises:
        OSError: it cannot be read, or holds none.
    """
    context = ssl.create_default_context(cafile=str(cafile) if cafile else None, cadata=cadata)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def in_cluster(folder: Path = SERVICE_ACCOUNT) -> Access:
    """Find the API server of the cluster that this pod runs in.

    Raises:
        AccessError: this is no pod, or it was given no token.
    """
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    if host is None or not (folder / "token").exists():
        raise AccessError("not inside a cluster: name a kubeconfig with --kubeconfig")
    try:
        context = believing(cafile=folder / "ca.crt")
    except OSError as error:
        raise AccessError(f"the authority {folder / 'ca.crt'} cannot be read: {_why(error)}") from error
    host = f"[{host}]" if ":" in host else host
    return Access(f"https://{host}:{port}", context, token_file=folder / "token", is_local=True)


def from_kubeconfig(path: Path) -> Access:
    """Read the current context of a kubeconfig: certificates or a token, in the file or beside it.

    Raises:
        AccessError: the file cannot be read, or holds something else.
    """
    try:
        document = yaml.safe_load(path.read_text())
        current = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], current["cluster"])["cluster"]
        user = _named(document.get("users") or [], current.get("user", ""))["user"]
        return _access(path.parent, cluster, user)
    except OSError as error:
        named = "" if error.filename in (None, str(path)) else f" names {error.filename}, which"
        raise AccessError(f"the kubeconfig {path}{named} cannot be read: {_why(error)}") from error
    except (AttributeError, KeyError, TypeError, ValueError, yaml.YAMLError):
        # Without its cause: a parser quotes what it stumbles over, and that may be a token.
        raise AccessError(f"{path} is no kubeconfig with a current context, cluster and user") from None


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _access(folder: Path, cluster: dict[str, Any], user: dict[str, Any]) -> Access:
    context = believing(cadata=_text(folder, cluster, "certificate-authority"))
    certificate, key = (_text(folder, user, name) for name in ("client-certificate", "client-key"))
    if "exec" in user or "auth-provider" in user:
        raise AccessError("the kubeconfig logs in by another program; name one with a token or a certificate")
    if bool(certificate) != bool(key):
        raise AccessError("the kubeconfig has a client certificate or its key, and needs both")
    if certificate and key:
        _load(context, certificate, key)
    token_file = folder / user["tokenFile"] if "tokenFile" in user else None
    return Access(cluster["server"].rstrip("/"), context, cluster.get("tls-server-name"), token_file, user.get("token"))


def _named(entries: list[dict[str, Any]], name: str) -> dict[str, Any]:
    for entry in entries:
        if entry["name"] == name:
            return entry
    raise KeyError(name)


def _text(folder: Path, entry: dict[str, Any], name: str) -> str | None:
    if f"{name}-data" in entry:
        return base64.b64decode("".join(entry[f"{name}-data"].split()), validate=True).decode()
    return (folder / entry[name]).read_text() if name in entry else None


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # ssl takes files only. An anonymous one is never seen by anybody else, and is gone when it is closed.
    descriptor = os.memfd_create("client")
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{certificate}\n{key}\n")
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
