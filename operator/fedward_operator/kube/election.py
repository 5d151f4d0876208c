"""Which of several operators acts: the one that holds a Lease. Losing it ends the process, so that two never act."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from fedward_operator.kube.client import Client
from fedward_operator.kube.errors import ApiError, UnavailableError
from fedward_operator.kube.kinds import LEASE

_log = logging.getLogger(__name__)

DURATION_S = 10.0
"""How long a Lease holds after its last renewal; a standby takes over at most this, plus one look, later."""

RENEW_S = 2.0
GIVE_UP_S = 7.0
"""A holder that could not renew for so long stops acting: before anybody else may begin."""


class LostError(Exception):
    """Another operator holds the Lease, or may hold it by now."""


class Election:
    """One candidate for one Lease.

    Attributes:
        is_won: whether the Lease is ours.
    """

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        me: str,
        chance: random.Random,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._namespace, self._name, self._me = client, namespace, name, me
        self._chance, self._now = chance, now
        self._seen: tuple[str, float] = ("", 0.0)
        self._taken = self.is_won = False
        self._renewed_at = 0.0

    async def win(self) -> None:
        """Wait until the Lease is ours."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # An answer that took too long may tell of a Lease that has run out since.
        while not await self._try() or loop.time() - began >= GIVE_UP_S:
            await asyncio.sleep(RENEW_S * self._chance.uniform(0.5, 1.0))
            began = loop.time()
        self._renewed_at, self.is_won = began, True
        _log.info("leading", extra={"lease": f"{self._namespace}/{self._name}", "as": self._me})

    async def hold(self) -> None:
        """Renew the Lease for ever.

        Raises:
            LostError: it could not be renewed in time, or another has it.
        """
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(RENEW_S)
            began = loop.time()
            try:
                async with asyncio.timeout(max(self._renewed_at + GIVE_UP_S - began, 0.1)):
                    held = await self._try()
            except TimeoutError:
                held = False
            if held:
                self._renewed_at = began
            elif self._taken:
                raise LostError(f"another operator holds the Lease {self._namespace}/{self._name}")
            elif loop.time() - self._renewed_at >= GIVE_UP_S:
                raise LostError(f"could not renew the Lease {self._namespace}/{self._name} for {GIVE_UP_S:g} s")

    async def release(self) -> None:
        """Let another take over at once, as far as the API server can be told."""
        try:
            lease = await self._client.get(LEASE, self._namespace, self._name)
            if (lease.get("spec") or {}).get("holderIdentity") == self._me:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.replace(LEASE, lease)
        except (ApiError, UnavailableError) as error:
            _log.info("the Lease runs out by itself", extra={"error": str(error)})

    async def _try(self) -> bool:
        try:
            lease = await self._client.get(LEASE, self._namespace, self._name)
        except ApiError as error:
            return error.is_gone and await self._write(self._client.create, None)
        except UnavailableError:
            return False
        holder = (lease.get("spec") or {}).get("holderIdentity")
        self._taken = holder not in (self._me, "", None) and not self._has_run_out(lease)
        if self._taken:
            return False
        return await self._write(self._client.replace, lease)

    def _has_run_out(self, lease: dict[str, Any]) -> bool:
        # By our own clock since we first saw this renewal: two machines' clocks need not agree.
        version, seen_at = self._seen
        now = asyncio.get_running_loop().time()
        if lease["metadata"]["resourceVersion"] != version:
            self._seen = lease["metadata"]["resourceVersion"], now
            return False
        return now - seen_at > float(lease["spec"].get("leaseDurationSeconds", DURATION_S))

    async def _write(self, write: Callable[..., Any], lease: dict[str, Any] | None) -> bool:
        now = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        before = (lease.get("spec") or {}) if lease else {}
        changed = before.get("holderIdentity") != self._me
        spec = {
            "holderIdentity": self._me,
            "leaseDurationSeconds": int(DURATION_S),
            "renewTime": now,
            "acquireTime": now if changed else before.get("acquireTime", now),
            "leaseTransitions": before.get("leaseTransitions", 0) + (1 if lease and changed else 0),
        }
        metadata = lease["metadata"] if lease else {"namespace": self._namespace, "name": self._name}
        manifest = {"apiVersion": LEASE.api_version, "kind": LEASE.name, "metadata": metadata, "spec": spec}
        try:
            await write(LEASE, manifest)
        except (ApiError, UnavailableError):
            return False
        return True
