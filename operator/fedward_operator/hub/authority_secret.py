"""Keeps the authority as its Secret says: made the first time, taken up anew whenever it changes."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from fedward_operator.hub.authority import HubAuthority
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client, Object
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy.joining.trust import files_of, mark, read_authority
from fedward_protocol.pki import Authority

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuthoritySecret:
    """Where the authority lies.

    Attributes:
        namespace, name: the Secret's.
        makes: the operator makes it where it is missing; else somebody else will.
    """

    namespace: str
    name: str
    makes: bool


class AuthorityReconciler:
    """Reconciles the one Secret."""

    def __init__(
        self,
        client: Client,
        secret: AuthoritySecret,
        authority: HubAuthority,
        changed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        """Make one; `changed` is told when others have to learn whom to believe."""
        self._client, self._secret, self._authority = client, secret, authority
        self._changed, self._now = changed, now

    async def reconcile(self, _: str) -> float | None:
        """Take up what the Secret holds; what cannot be used is passed over, and the authority stays as it was."""
        found = await self._find()
        where = f"{self._secret.namespace}/{self._secret.name}"
        if found is None:
            _log.warning("the Secret of the authority is not there; waiting for it", extra={"secret": where})
            return None
        files = {name: base64.b64decode(content) for name, content in (found.get("data") or {}).items()}
        try:
            authority = read_authority(self._authority.federation, files)
        except ValueError as error:
            _log.error("the Secret of the authority cannot be used", extra={"secret": where, "why": str(error)})
            return None
        if self._authority.take(authority):
            told = {"secret": where, "mark": mark(authority.trusted_pem), "expires": authority.ends.isoformat()}
            _log.info("the authority is taken up", extra=told)
            self._changed()
        return None

    async def _find(self) -> Object | None:
        try:
            return await self._client.get(kinds.SECRET, self._secret.namespace, self._secret.name)
        except ApiError as error:
            if not error.is_gone:
                raise
        if not self._secret.makes:
            return None
        try:
            return await self._client.create(kinds.SECRET, self._manifest())
        except ApiError as error:
            if not error.is_conflict:
                raise
        return await self._client.get(kinds.SECRET, self._secret.namespace, self._secret.name)

    def _manifest(self) -> Object:
        """Make the Secret: as it was, where somebody has deleted it under our eyes."""
        if self._authority.ready.is_set():
            authority = self._authority.current
        else:
            authority = Authority.create(self._authority.federation, self._now())
        data = {name: base64.b64encode(content).decode() for name, content in files_of(authority).items()}
        return {
            "apiVersion": kinds.SECRET.api_version,
            "kind": kinds.SECRET.name,
            "metadata": {"namespace": self._secret.namespace, "name": self._secret.name},
            "type": "kubernetes.io/tls",
            "data": data,
        }
