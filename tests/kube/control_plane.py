"""A Kubernetes control plane as processes on this machine: etcd, API server and, where asked for, the controllers."""

from __future__ import annotations

import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from tests.kube.certificates import ClusterAuthority
from tests.kube.component import Component
from tests.kube.host import HERE, Host
from tests.kube.nodes import GPU, STAGES, node

_READY_S = 60.0
_AGAIN_S = 0.2
_ADMINISTRATORS = ("system:masters",)


class ControlPlane:
    """One cluster without nodes; its state lies in `folder`, its processes end with `stop`."""

    def __init__(self, binaries: Path, folder: Path, host: Host = HERE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._binaries, self._folder, self._host = binaries, folder, host
        self.authority = ClusterAuthority(folder / "pki", datetime.now(UTC))
        self._etcd_port, self._peer_port, free = free_ports(3)
        self._port = host.port or free
        self._serving = self.authority.server(host.address, host.first_service)
        self._running: dict[str, Component] = {}
        self._admin = self.authority.client("admin", _ADMINISTRATORS)
        self.admin_kubeconfig = self.kubeconfig("admin", _ADMINISTRATORS)

    @property
    def url(self) -> str:
        """Where the API server listens; the same after a restart."""
        return f"https://{self._host.address}:{self._port}"

    def start(self) -> None:
        """Start etcd and the API server and wait until it is ready.

        Raises:
            ComponentError: one of them died, with the end of its log.
        """
        client, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._start(
            *("etcd", "--unsafe-no-fsync", "--log-level=warn", f"--data-dir={self._folder / 'etcd'}"),
            *(f"--listen-client-urls={client}", f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}"),
            *(f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}"),
        )
        self.start_api_server()

    def start_api_server(self) -> None:
        """Start the API server, the first time or after `stop_api_server`, and wait until it is ready.

        Raises:
            ComponentError: it died, with the end of its log.
        """
        key = self.authority.service_account_key
        server = self._start(
            *("kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self._etcd_port}", f"--secure-port={self._port}"),
            *(f"--bind-address={self._host.address}", f"--advertise-address={self._host.address}"),
            f"--service-cluster-ip-range={self._host.services}",
            *(f"--tls-cert-file={self._serving[0]}", f"--tls-private-key-file={self._serving[1]}"),
            *(f"--client-ca-file={self.authority.ca}", "--authorization-mode=Node,RBAC"),
            *("--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={key}"),
            f"--service-account-signing-key-file={key}",
            # For logs and exec: the kubelet knows its API server by this.
            *(f"--kubelet-client-certificate={self._admin[0]}", f"--kubelet-client-key={self._admin[1]}"),
            "--kubelet-preferred-address-types=InternalIP",
        )
        server.wait_until(self._is_ready, _READY_S)

    def stop_api_server(self) -> None:
        """Take the API server away; etcd keeps what it knew."""
        self._running.pop("kube-apiserver").stop()

    def start_controllers(self) -> None:
        """Start the controller manager: garbage collection, Jobs, namespaces' ends, signing."""
        key = self.authority.service_account_key
        ca = self.authority.ca
        self._start(
            *("kube-controller-manager", f"--kubeconfig={self.admin_kubeconfig}", "--leader-elect=false"),
            *(f"--service-account-private-key-file={key}", f"--root-ca-file={ca}"),
            *(f"--cluster-signing-cert-file={ca}", f"--cluster-signing-key-file={self.authority.ca_key}"),
            "--secure-port=0",
        )

    def start_scheduler(self) -> None:
        """Start the scheduler."""
        self._start(
            *("kube-scheduler", f"--kubeconfig={self.admin_kubeconfig}", "--leader-elect=false", "--secure-port=0"),
        )

    def start_nodes(self, *names: str, gpus: int = 8) -> None:
        """Make nodes without machines, on which every pod runs at once and until a test ends it."""
        stages = self._folder / "stages.yaml"
        stages.write_text(STAGES)
        self._start(
            *("kwok", f"--kubeconfig={self.admin_kubeconfig}", f"--config={stages}"),
            *("--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-lease-duration-seconds=40"),
        )
        for name in names:
            self.request("POST", "/api/v1/nodes", node(name, {GPU: gpus}))

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json", user: str = ""
    ) -> Any:
        """Ask the API server something, as the administrator or as somebody else.

        Raises:
            urllib.error.HTTPError: it says no.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.url}{path}", data=data, method=method, headers={"Content-Type": content_type}
        )
        if user:
            request.add_header("Impersonate-User", user)
        ends_at = time.monotonic() + _READY_S
        while True:
            try:
                with urllib.request.urlopen(request, context=self._context(), timeout=30) as answer:
                    return json.loads(answer.read())
            except urllib.error.HTTPError as error:
                # An API server that makes room for a new kind asks to be left alone for a moment.
                if error.code != HTTPStatus.TOO_MANY_REQUESTS or time.monotonic() > ends_at:
                    raise
            time.sleep(_AGAIN_S)

    def pids(self) -> list[int]:
        """Return the ids of its processes, in the order in which they were started."""
        return [component.pid for component in self._running.values()]

    def stop(self) -> None:
        """End every process, the last one started first."""
        while self._running:
            self._running.popitem()[1].stop()

    def kubeconfig(self, user: str, groups: Sequence[str] = ()) -> Path:
        """Write the kubeconfig of a user with a client certificate, and return its path."""
        certificate, key = self.authority.client(user, groups)
        access = {"client-certificate": str(certificate), "client-key": str(key)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.authority.ca)}}
            ],
            "users": [{"name": user, "user": access}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        path = self._folder / f"{user.replace(':', '_')}.kubeconfig"
        path.write_text(json.dumps(document))
        return path

    def _start(self, name: str, *arguments: str) -> Component:
        command = [*self._host.enter, self._binaries / name, *arguments]
        component = Component(command, self._folder / f"{name}.log", name)
        self._running[name] = component
        return component

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", context=self._context(), timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @property
    def ca_pem(self) -> str:
        """The authority of the API server."""
        return self.authority.ca.read_text()

    def trusting(self) -> ssl.SSLContext:
        """Make TLS settings that believe the API server and show nobody."""
        return ssl.create_default_context(cafile=str(self.authority.ca))

    def _context(self) -> ssl.SSLContext:
        context = self.trusting()
        context.load_cert_chain(*self._admin)
        return context


def free_ports(count: int) -> list[int]:
    """Find TCP ports that nobody listens on."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
