"""Tells the hub that the site can be reached, and what it offers: a Lease in its mailbox, renewed every few seconds.

The Lease that comes back says whom the hub wants to be believed.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from fedward_operator.api.policy import SitePolicySpec
from fedward_operator.kube import kinds
from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.policy import naming
from fedward_operator.policy.conditions import show_time
from fedward_operator.site.belonging import Belonging

_log = logging.getLogger(__name__)

PERIOD_S = 5.0
_DURATION_S = 15


def offer_of(
    policy: SitePolicySpec | None, cases: Mapping[str, int], not_after: datetime | None = None
) -> dict[str, Any]:
    """Say what the site offers, and of its datasets no more than the policy lets the hub know.

    `not_after` is until when the site's certificate is good, where that is ours to know.
    """
    datasets = policy.datasets if policy else ()
    told = [dataset.name for dataset in datasets if dataset.share == "counts" and dataset.name in cases]
    return {
        "version": version("fedward"),
        "gpus": policy.gpus.count if policy and policy.gpus else 0,
        "datasets": [dataset.name for dataset in datasets if dataset.share != "none"],
        "cases": {name: cases[name] for name in told},
        **({"certificateExpires": show_time(not_after)} if not_after else {}),
    }


class Heartbeat:
    """Renews one site's Lease.

    Attributes:
        is_heard: whether the hub took the last renewal.
    """

    def __init__(
        self,
        hub: Client,
        site: str,
        policy: Callable[[], SitePolicySpec | None],
        cases: Callable[[], Mapping[str, int]],
        belonging: Belonging,
        now: Callable[[], datetime],
    ) -> None:
        """Make one; `cases` says how many there are in each dataset that was inspected."""
        self._hub, self._site, self._policy, self._cases, self._now = hub, site, policy, cases, now
        self._belonging = belonging
        self.is_heard = False

    async def run(self) -> None:
        """Renew until cancelled; a hub that is away is tried again the next time."""
        failures = 0
        while True:
            try:
                lease = await self._hub.apply(kinds.LEASE, self._lease())
                self._belonging.hear((lease["metadata"].get("annotations") or {}).get(naming.AUTHORITY, ""))
                failures, self.is_heard = 0, True
            except (ApiError, UnavailableError) as error:
                failures, self.is_heard = failures + 1, False
                if isinstance(error, ApiError) and error.code == 401:
                    self._belonging.refused()
                if failures == 1 or failures % 60 == 0:
                    _log.warning("the hub does not hear us", extra={"error": str(error), "tries": failures})
            await asyncio.sleep(PERIOD_S)

    def _lease(self) -> dict[str, Any]:
        offer = offer_of(self._policy(), self._cases(), self._belonging.not_after)
        return {
            "apiVersion": kinds.LEASE.api_version,
            "kind": kinds.LEASE.name,
            "metadata": {
                "namespace": naming.mailbox(self._site),
                "name": naming.HEARTBEAT,
                "labels": {naming.LABEL_COMPONENT: "site"},
                "annotations": {
                    naming.OFFER: json.dumps(offer, separators=(",", ":")),
                    naming.BELIEVED: self._belonging.believed,
                },
            },
            "spec": {
                "holderIdentity": self._site,
                "leaseDurationSeconds": _DURATION_S,
                "renewTime": self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            },
        }
