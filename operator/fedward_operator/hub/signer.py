"""Answers sites' requests for certificates: lets those in that may, and issues what they then show to aggregators."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.views import RequestView, view_site
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy import naming
from fedward_operator.policy.joining.naming import MEMBER, speaker
from fedward_operator.policy.joining.signing import Deny, Invited, Sign, judge

_log = logging.getLogger(__name__)


class SigningReconciler:
    """Reconciles CertificateSigningRequests of our signer."""

    def __init__(
        self,
        client: Client,
        caches: HubCaches,
        authority: HubAuthority,
        lifetime: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        self._client, self._caches, self._authority = client, caches, authority
        self._lifetime, self._now = lifetime, now

    async def reconcile(self, name: str) -> float | None:
        """Judge one request, and do what follows."""
        view = self._caches.requests.get(("", name))
        if view is None or view.asked.settled:
            return None
        site, _ = speaker(view.asked.user) or ("", "")
        verdict = judge(view.asked, await self._invited(site), self._authority.federation)
        try:
            if isinstance(verdict, Deny):
                _log.warning("a certificate is denied", extra={"request": name, "why": verdict.message})
                await self._say(view, "Denied", "NotEntitled", verdict.message)
            elif isinstance(verdict, Sign):
                await self._let_in(view, site, verdict)
        except ApiError as error:
            # Another request of that name by now, or none: what happened to it is told anew.
            if not (error.is_gone or error.is_conflict):
                raise
        return None

    async def _invited(self, site: str) -> Invited | None:
        """Read what is said of a site now: the answer is for good, and a cache may be behind what is answered."""
        if not site:
            return None
        try:
            return view_site(await self._client.get(kinds.FEDERATED_SITE, None, site)).invited
        except ApiError as error:
            if error.is_gone:
                return None
            raise

    async def _let_in(self, view: RequestView, site: str, verdict: Sign) -> None:
        if not view.asked.approved:
            await self._say(view, "Approved", "Invited", f"{site} is invited to the federation")
        if verdict.joins:
            # With this account the site's rights begin, and with its end they end: no renewal revives it.
            await self._client.apply(kinds.SERVICE_ACCOUNT, _member(site))
        certificate = self._authority.certify_site(verdict.request, self._now(), self._lifetime)
        # Behind it whom the site shall believe: it learns of an authority that takes over when it renews.
        chain = certificate + self._authority.trusted_pem
        status = {"certificate": base64.b64encode(chain).decode()}
        await self._client.apply(kinds.CERTIFICATE_REQUEST, _request(view, status), subresource="status")
        _log.info("a certificate is issued", extra={"site": site})

    async def _say(self, view: RequestView, kind: str, reason: str, message: str) -> None:
        condition = {"type": kind, "status": "True", "reason": reason, "message": message}
        said = _request(view, {"conditions": [condition]})
        await self._client.apply(kinds.CERTIFICATE_REQUEST, said, subresource="approval")


def _member(site: str) -> dict[str, Any]:
    return {
        "apiVersion": kinds.SERVICE_ACCOUNT.api_version,
        "kind": kinds.SERVICE_ACCOUNT.name,
        "metadata": {"namespace": naming.mailbox(site), "name": MEMBER},
        "automountServiceAccountToken": False,
    }


def _request(view: RequestView, status: dict[str, Any]) -> dict[str, Any]:
    # By its uid, because a site may delete its request and ask for something else by the same name.
    return {
        "apiVersion": kinds.CERTIFICATE_REQUEST.api_version,
        "kind": kinds.CERTIFICATE_REQUEST.name,
        "metadata": {"name": view.asked.name, "uid": view.uid},
        "status": status,
    }
