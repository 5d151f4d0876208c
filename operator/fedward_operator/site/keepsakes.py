"""What the site keeps of its membership, in Secrets of its namespace: its token, its request, its certificate."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError

ACCESS, REQUEST, CERTIFICATE = "fedward-hub-access", "fedward-site-request", "fedward-gateway-tls"
"""The token at the hub; the key of a certificate that is asked for; the gateway's certificate and key."""

SIGNING, OPERATOR_KEY = "fedward-site-signing", "fedward-operator-key"
"""The Secret of the key that signs work orders; the ConfigMap by whose operator.pub the gateway knows it."""


async def signing_key(keepsakes: Keepsakes) -> Ed25519PrivateKey:
    """Return the key that signs work orders, made the first time; the gateway is told its public half.

    Raises:
        ApiError, UnavailableError.
        ValueError: the Secret holds something else.
    """
    pkcs8, pem = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
    made = Ed25519PrivateKey.generate().private_bytes(pem, pkcs8, serialization.NoEncryption())
    kept = await keepsakes.keep_first(SIGNING, {"signing.key": made})
    key = serialization.load_pem_private_key(kept.get("signing.key", b""), None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"the Secret {SIGNING} holds no Ed25519 key in signing.key")
    public = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    await keepsakes.publish(OPERATOR_KEY, {"operator.pub": public.decode()})
    return key


class Keepsakes:
    """Reads and writes them."""

    def __init__(self, here: Client, namespace: str) -> None:
        self._here, self._namespace = here, namespace

    async def read(self, name: str) -> dict[str, bytes]:
        """Read a Secret's files; empty if it is not there.

        Raises:
            ApiError, UnavailableError.
        """
        try:
            found = await self._here.get(kinds.SECRET, self._namespace, name)
        except ApiError as error:
            if error.is_gone:
                return {}
            raise
        return {file: base64.b64decode(content) for file, content in (found.get("data") or {}).items()}

    async def write(self, name: str, files: Mapping[str, bytes]) -> None:
        """Write a Secret.

        Raises:
            ApiError, UnavailableError.
        """
        data = {file: base64.b64encode(content).decode() for file, content in files.items()}
        await self._here.apply(kinds.SECRET, {**self._head(kinds.SECRET, name), "type": "Opaque", "data": data})

    async def keep_first(self, name: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
        """Write a Secret unless it is there, and return what is there then: the first one stays.

        Raises:
            ApiError, UnavailableError.
        """
        data = {file: base64.b64encode(content).decode() for file, content in files.items()}
        try:
            await self._here.create(kinds.SECRET, {**self._head(kinds.SECRET, name), "type": "Opaque", "data": data})
        except ApiError as error:
            if not error.is_conflict:
                raise
        return await self.read(name)

    async def publish(self, name: str, files: Mapping[str, str]) -> None:
        """Write a ConfigMap.

        Raises:
            ApiError, UnavailableError.
        """
        await self._here.apply(kinds.CONFIG_MAP, {**self._head(kinds.CONFIG_MAP, name), "data": dict(files)})

    def _head(self, kind: kinds.Kind, name: str) -> dict[str, object]:
        metadata = {"namespace": self._namespace, "name": name}
        return {"apiVersion": kind.api_version, "kind": kind.name, "metadata": metadata}
