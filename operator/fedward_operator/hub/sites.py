"""Makes a FederatedSite's status say whether the site can be heard, and what it offers."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from importlib.metadata import version
from typing import Any

from fedward_operator.api.meta import API_VERSION
from fedward_operator.api.site import FederatedSiteStatus
from fedward_operator.hub.authority import HubAuthority
from fedward_operator.hub.caches import HubCaches
from fedward_operator.hub.views import HEARD_FOR, Heartbeat, SiteView
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError
from fedward_operator.policy import conditions, naming
from fedward_operator.policy.conditions import Finding
from fedward_operator.policy.joining.naming import INVITATION, MEMBER


def site_status(site: SiteView, beat: Heartbeat | None, now: datetime) -> dict[str, Any]:
    """Write the status, defaults and all."""
    if site.invited.revoked:
        finding = Finding("Connected", False, "Revoked", "the site belongs to the federation no more")
    elif beat is None:
        finding = Finding("Connected", False, "NeverHeard", "the site's operator has not been heard yet")
    elif now - beat.heard > HEARD_FOR:
        finding = Finding("Connected", False, "HeartbeatMissed", "the site's operator is not heard any more")
    else:
        finding = Finding("Connected", True, "Heard")
    before = site.status.get("conditions") or ()
    document: dict[str, Any] = {
        "observedGeneration": site.generation,
        "hubVersion": version("fedward"),
        "conditions": conditions.join(before, [finding], site.generation, now),
    }
    if beat is not None:
        document |= {"version": beat.version, "gpus": beat.gpus, "datasets": beat.datasets}
        # An empty map is left out: the API server may keep it or not.
        document["cases"] = beat.cases or None
        document["certificateExpires"] = beat.certificate_expires or None
        if not finding.holds:
            document["lastSeen"] = conditions.show_time(beat.heard)
    checked = FederatedSiteStatus.model_validate(document)
    written: dict[str, Any] = json.loads(checked.model_dump_json(by_alias=True, exclude_none=True))
    return written


class SiteStatusReconciler:
    """Reconciles FederatedSites."""

    def __init__(
        self,
        client: Client,
        caches: HubCaches,
        authority: HubAuthority,
        flipped: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        """Make one; `flipped` is told when a site has come or gone, or was revoked."""
        self._client, self._caches, self._flipped, self._now = client, caches, flipped, now
        self._authority = authority
        self._known: dict[str, tuple[bool, bool]] = {}

    async def reconcile(self, name: str) -> float | None:
        """Make one site's status right; return when it will change by time alone."""
        site = self._caches.sites.get(("", name))
        if site is None:
            if self._known.pop(name, None) is not None:
                self._flipped()
            return None
        now = self._now()
        beat = self._caches.heartbeats.get((naming.mailbox(name), naming.HEARTBEAT))
        after = site_status(site, beat, now)
        connected = conditions.holds(after["conditions"], "Connected")
        if self._known.get(name) != (connected, site.invited.revoked):
            self._known[name] = connected, site.invited.revoked
            self._flipped()
        if site.invited.revoked:
            await self._expel(name)
        if after != site.status:
            manifest = {
                "apiVersion": API_VERSION,
                "kind": kinds.FEDERATED_SITE.name,
                "metadata": {"name": name, "uid": site.uid},
                "status": after,
            }
            try:
                await self._client.apply(kinds.FEDERATED_SITE, manifest, subresource="status")
            except ApiError as error:
                if not (error.is_gone or error.is_conflict):
                    raise
        if site.invited.revoked:
            return None
        if beat is not None and connected:
            await self._tell(name, beat)
        return (beat.heard + HEARD_FOR - now).total_seconds() + 0.1 if beat is not None and connected else None

    async def _tell(self, site: str, beat: Heartbeat) -> None:
        """Write whom to believe where the site reads it when it renews its Lease: within seconds, and at no cost.

        It passes for one more heartbeat, once for each change.
        """
        if self._authority.mark in ("", beat.told):
            return
        manifest = {
            "apiVersion": kinds.LEASE.api_version,
            "kind": kinds.LEASE.name,
            "metadata": {
                "namespace": naming.mailbox(site),
                "name": naming.HEARTBEAT,
                "annotations": {naming.AUTHORITY: self._authority.mark},
            },
        }
        await self._client.apply(kinds.LEASE, manifest)

    async def _expel(self, site: str) -> None:
        # Tokens die with their account: neither what was invited nor what has joined can speak any more.
        for account in (MEMBER, INVITATION):
            await self._client.delete(kinds.SERVICE_ACCOUNT, naming.mailbox(site), account)
