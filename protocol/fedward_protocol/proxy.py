"""Whether a connection goes through an HTTP proxy, and through which: one reading of the environment for all parts.

HTTPS_PROXY (or https_proxy) names the proxy, NO_PROXY and no_proxy what is reached without it. Every library reads
these its own way: gRPC knows neither the upper case nor a port, Python's knows no network. The rules here are Go's,
which Kubernetes and its tools go by, but for loopback addresses, which are nothing special here.
"""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

_PORT = 80


class ProxyError(Exception):
    """What the environment says of a proxy cannot be used; the message says what to do and never quotes a password."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy that opens tunnels (CONNECT).

    Attributes:
        address: its URL without credentials, fit for logs.
        login: user and password, where it wants them.
    """

    address: str
    login: tuple[str, str] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """Its URL with credentials: a secret."""
        if self.login is None:
            return self.address
        user, password = (quote(part, safe="") for part in self.login)
        return self.address.replace("://", f"://{user}:{password}@", 1)

    @property
    def headers(self) -> dict[str, str]:
        """What it is told beside where to connect to: a secret."""
        if self.login is None:
            return {}
        return {"Proxy-Authorization": f"Basic {base64.b64encode(':'.join(self.login).encode()).decode()}"}


def proxy_to(host: str, port: int, environment: Mapping[str, str]) -> Proxy | None:
    """Find the proxy on the way to a server's TLS port; None where there is none.

    Raises:
        ProxyError: the environment names one that cannot be used.
    """
    spared = ",".join(environment.get(name, "") for name in ("NO_PROXY", "no_proxy"))
    if any(_covers(entry.strip().lower(), host.rstrip(".").lower(), port) for entry in spared.split(",")):
        return None
    for name in ("HTTPS_PROXY", "https_proxy"):
        if environment.get(name, "").strip():
            return _parse(name, environment[name].strip())
    return None


def _parse(name: str, text: str) -> Proxy:
    wanted = f"{name} has to name an HTTP proxy as http://[user:password@]host[:port]"
    try:
        url = urlsplit(text if "://" in text else f"http://{text}")
        host, port = url.hostname, url.port or _PORT
        login = None if url.username is None else (unquote(url.username), unquote(url.password or ""))
    except ValueError:
        # Without its cause: a parser quotes what it stumbles over, and that may be a password.
        raise ProxyError(wanted) from None
    if url.scheme != "http":
        raise ProxyError(f"{wanted}; another scheme is not supported")
    if not host or url.path.strip("/") or url.query or url.fragment:
        raise ProxyError(f"{wanted}; in user and password, write : / ? # [ ] @ % as %3A %2F %3F %23 %5B %5D %40 %25")
    return Proxy(f"http://{_bracketed(host)}:{port}", login)


def _covers(entry: str, host: str, port: int) -> bool:
    """Tell whether an entry of NO_PROXY is about this server."""
    if entry in ("", "*"):
        return entry == "*"
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        pass  # one of them is a name, or the entry has a port
    name, colon, number = entry.rpartition(":")
    if colon and number.isascii() and number.isdigit():
        if int(number) != port:
            return False
    else:
        name = entry
    name = name.removeprefix("[").removesuffix("]").removeprefix("*")
    return host == name or (not _is_address(host) and host.endswith(name if name.startswith(".") else f".{name}"))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
